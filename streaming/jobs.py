"""The catalogue of streaming jobs: the input, the pattern and the sinks of each."""

from importlib import resources
from pathlib import Path

from common import project
from common.errors import ConfigError
from common.text.nearest import did_you_mean
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.job import Job, Lookup
from streaming.patterns.ad_clicks import ad_clicks
from streaming.patterns.ad_metrics import SLACK, ad_metrics
from streaming.patterns.ad_tail import ad_tail
from streaming.patterns.error_alerts import ErrorAlerts, error_alerts
from streaming.patterns.expiring_totals import ExpiringTotals, expiring_totals
from streaming.patterns.fruit_categories import fruit_categories
from streaming.patterns.hourly_sales import hourly_sales
from streaming.patterns.logins import logins
from streaming.patterns.mobile_actions import mobile_actions
from streaming.patterns.order_values import order_values
from streaming.patterns.rack_alerts import RackAlerts, rack_alerts
from streaming.patterns.rack_temperatures import rack_temperatures
from streaming.patterns.running_totals import RunningTotals, running_totals
from streaming.patterns.sensors import sensor_averages, sensor_moving_averages
from streaming.patterns.session_windows import session_windows
from streaming.patterns.top_products import top_products
from streaming.patterns.transactions import transaction_totals, transaction_windows
from streaming.patterns.unique_visitors import unique_visitors
from streaming.patterns.user_clicks import user_clicks
from streaming.patterns.user_sessions import UserSessions, user_sessions
from streaming.sinks.alerts import Alerts
from streaming.sinks.iceberg import IcebergTable
from streaming.sinks.ranking import TopProducts
from streaming.sinks.tables import Tables

_FRUIT = Lookup(Path(str(resources.files("streaming") / "data" / "fruit_categories.csv")), "id int, category string")
_SPAN = "concat_ws(' to ', date_format(window_start, 'yyyy-MM-dd HH:mm'), date_format(window_end, 'HH:mm'))"

_CATALOGUE = [
    Job(
        "ad-metrics",
        "clicks, views and cost per ad: 1-minute windows every 30 seconds, and running totals",
        "ads_data",
        ad_metrics,
        key=("kind", "ad_id", "window_start"),
        sinks=(Tables(total="ad_metrics", window="ad_metrics_by_window"),),
        slack=SLACK,
        recounted=True,
    ),
    Job("ad-tail", "the ad events themselves, as they arrive", "ads_data", ad_tail, modes=("append",)),
    Job(
        "ad-clicks",
        "clicks per ad: 30-second windows every 10 seconds",
        "ads_data",
        ad_clicks,
        key=("ad_id", "window_start"),
        sinks=(Tables("ad_clicks"),),
    ),
    Job(
        "sensor-averages",
        "temperature per sensor: average, minimum and maximum of 5 minutes, once they are over",
        "sensor_readings",
        sensor_averages,
        key=("sensor_id", "window_start"),
        sinks=(
            Tables("sensor_averages"),
            IcebergTable("sensor_5min_avg", ("sensor_id", "window_start"), "days(window_start)"),
        ),
        modes=("append",),
        json=True,
    ),
    Job(
        "sensor-moving-averages",
        "temperature per sensor: 5-minute averages every minute, once they are over",
        "sensor_readings",
        sensor_moving_averages,
        key=("sensor_id", "window_start"),
        sinks=(IcebergTable("sensor_5min_slide1min", ("sensor_id", "window_start"), "days(window_start)"),),
        modes=("append",),
        json=True,
    ),
    Job(
        "transaction-totals",
        "what each user spent in all, by amounts without ids (trx_data)",
        "trx_data",
        transaction_totals,
        key=("user_id",),
        sinks=(Tables("transaction_totals"),),
        modes=("complete", "update"),
    ),
    Job(
        "transaction-windows",
        "what each user spent in 3 minutes, by amounts without ids (trx_data)",
        "trx_data",
        transaction_windows,
        key=("user_id", "window_start"),
        sinks=(Tables("transaction_windows"),),
        modes=("complete", "update"),
    ),
    Job(
        "running-totals",
        "what each user paid in all, each transaction once (transactions); state kept by hand",
        "transactions",
        running_totals,
        key=("user_id",),
        sinks=(Tables("running_totals"),),
        state=RunningTotals,
        json=True,
    ),
    Job(
        "expiring-totals",
        "what each user paid since the last hour without a payment; state that expires",
        "transactions",
        expiring_totals,
        key=("user_id",),
        sinks=(Tables("expiring_totals"),),
        state=ExpiringTotals,
        json=True,
    ),
    Job(
        "user-clicks",
        "clicks per user and minute",
        "clickstream",
        user_clicks,
        key=("user_id", "window_start"),
        sinks=(Tables("user_clicks"),),
        modes=("update", "complete"),
    ),
    Job(
        "user-sessions",
        "sessions of a user that end after 30 quiet seconds; state kept by hand, seen while they last",
        "clickstream",
        user_sessions,
        key=("user_id", "session_start"),
        sinks=(Tables("user_sessions"),),
        state=UserSessions,
    ),
    Job(
        "session-windows",
        "the same sessions by Spark's session windows, once they are over",
        "clickstream",
        session_windows,
        key=("user_id", "session_start"),
        sinks=(Tables("session_windows"),),
        modes=("append",),
    ),
    Job(
        "unique-visitors",
        "about how many users came: 1-hour windows every 30 minutes",
        "clickstream",
        unique_visitors,
        key=("window_start",),
        sinks=(Tables("unique_visitors"),),
    ),
    Job(
        "error-alerts",
        "one alert per 15 minutes with more than 100 errors",
        "clickstream",
        error_alerts,
        key=("window_start",),
        sinks=(Tables("error_alerts"), Alerts("error-alerts", subject=_SPAN, status="'raised'", at="window_start")),
        state=ErrorAlerts,
        concerns="event = 'error'",
    ),
    Job(
        "fruit-categories",
        "each fruit with its category, from a static table",
        "fruit_data",
        fruit_categories,
        key=("id", "timestamp"),
        sinks=(Tables("fruit_categories"),),
        modes=("append",),
        lookup=_FRUIT,
    ),
    Job(
        "hourly-sales",
        "sales per product and hour",
        "sales",
        hourly_sales,
        key=("window_start", "product_id"),
        sinks=(Tables("hourly_sales"),),
    ),
    Job(
        "top-products",
        "the 3 products that sell best in each 30 minutes",
        "sales",
        top_products,
        key=("window_start", "product_id"),
        sinks=(TopProducts(),),
    ),
    Job("logins", "logins per 5 minutes", "logins", logins, key=("window_start",), sinks=(Tables("logins"),)),
    Job(
        "order-values",
        "average value of an order per hour",
        "orders",
        order_values,
        key=("window_start",),
        sinks=(Tables("order_values"),),
    ),
    Job(
        "mobile-actions",
        "actions of mobile users per 10 minutes, from JSON files or a topic",
        "mobile_actions",
        mobile_actions,
        key=("action", "window_start"),
        sinks=(Tables("mobile_actions"),),
        modes=("complete", "update"),
        json=True,
    ),
    Job(
        "rack-temperatures",
        "average temperature of all racks and of each: 10-minute windows every 5 minutes",
        "rack_readings",
        rack_temperatures,
        key=("rack", "window_start"),
        sinks=(Tables("rack_temperatures"),),
        modes=("complete", "update"),
        json=True,
    ),
    Job(
        "rack-alerts",
        "a rack's change to warning after three hot readings in a row, and back",
        "rack_readings",
        rack_alerts,
        key=("rack", "changed_at"),
        sinks=(Tables("rack_alerts"), Alerts("rack-alerts", subject="rack", status="status", at="changed_at")),
        state=RackAlerts,
        json=True,
    ),
]

JOBS = project.joined({job.name: job for job in _CATALOGUE}, "JOBS", Job)


def find(name: str) -> Job:
    """Find the job of this name. Raises ConfigError with the nearest name."""
    job = JOBS.get(name)
    if job is None and name in BATCH_JOBS:
        raise ConfigError(f"{name} does not stream", f"run it with `adstream batch {name}`")
    if job is None:
        raise ConfigError(f"there is no job {name}", did_you_mean(name, JOBS, "`adstream jobs` lists them"))
    return job
