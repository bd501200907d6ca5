"""Every statement that the dashboard sends. Each names the whole partition key and has a limit: none scans a table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """CQL whose last parameter is the limit of rows, `most`."""

    text: str
    most: int


AD_TOTALS = Statement("SELECT * FROM ad_metrics WHERE ad_id = ? LIMIT ?", 1)
NEWEST_AD_WINDOW = Statement("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? LIMIT ?", 1)
# The newest window that begins at a time or before it.
AD_WINDOW_BY = Statement(
    "SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? AND window_start <= ? LIMIT ?", 1
)
# A day has 2,880 windows that begin every 30 seconds.
AD_WINDOWS = Statement("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? LIMIT ?", 2_880)
AD_WINDOWS_SINCE = Statement(
    "SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? AND window_start > ? LIMIT ?", 2_880
)
# A day of windows of 5 minutes.
SENSOR_AVERAGES = Statement("SELECT * FROM sensor_averages WHERE sensor_id = ? AND day = ? LIMIT ?", 288)
# A day of 41 products, or the newest hours of more.
HOURLY_SALES = Statement("SELECT * FROM hourly_sales WHERE day = ? LIMIT ?", 1_000)
ORDER_VALUES = Statement("SELECT * FROM order_values WHERE day = ? LIMIT ?", 24)
TOP_PRODUCTS = Statement("SELECT * FROM top_products WHERE window_start = ? LIMIT ?", 3)
# A day of windows that begin every 5 minutes.
RACK_TEMPERATURES = Statement("SELECT * FROM rack_temperatures WHERE rack = ? AND day = ? LIMIT ?", 288)
# The last change of a rack on a day.
LAST_RACK_ALERT = Statement("SELECT * FROM rack_alerts WHERE rack = ? AND day = ? LIMIT ?", 1)
RACK_ALERTS = Statement("SELECT * FROM rack_alerts WHERE rack = ? AND day = ? LIMIT ?", 100)

STATEMENTS = {name: value for name, value in globals().items() if isinstance(value, Statement)}
