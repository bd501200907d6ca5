"""The catalogue of sources: each source of events, and each job with a sample of its own."""

from common import project
from common.errors import ConfigError
from common.text.nearest import did_you_mean
from producer import ads, broken, clickstream, fruit, logins, mobile, orders, racks, sales, sensors, transactions, trx
from producer.samples import Sample
from producer.source import Source
from producer.traffic import Keys

_CATALOGUE = [
    Source(
        "ads",
        "ads_data",
        "ad_id",
        ads.event,
        Keys("ad-"),
        {"ad-metrics": ads.METRICS, "ad-tail": ads.TAIL, "ad-clicks": ads.CLICKS},
        impossible=broken.AD_VALUES,
    ),
    Source(
        "sensors",
        "sensor_readings",
        "sensor_id",
        sensors.event,
        Keys("sensor-", width=2, count=10),
        {"sensor-averages": sensors.READINGS, "sensor-moving-averages": sensors.READINGS},
        json=True,
    ),
    Source(
        "trx",
        "trx_data",
        "user_id",
        trx.event,
        Keys("user-"),
        {"transaction-totals": trx.RECORDS, "transaction-windows": trx.RECORDS},
    ),
    Source(
        "transactions",
        "transactions",
        "userId",
        transactions.event,
        Keys("user-"),
        {"running-totals": transactions.RUNNING, "expiring-totals": transactions.EXPIRING},
        json=True,
    ),
    Source(
        "clickstream",
        "clickstream",
        "user_id",
        clickstream.event,
        Keys("user-"),
        {
            "user-clicks": clickstream.CLICKS,
            "user-sessions": clickstream.CLICKS,
            "session-windows": clickstream.SESSIONS,
            "unique-visitors": clickstream.VISITS,
            "error-alerts": clickstream.ERRORS,
        },
    ),
    Source("fruit", "fruit_data", "id", fruit.event, Keys("", width=0, count=30), {"fruit-categories": fruit.FRUITS}),
    Source(
        "sales",
        "sales",
        "product_id",
        sales.event,
        Keys("product-", count=20),
        {"hourly-sales": sales.HOURLY, "top-products": sales.TOP},
    ),
    Source("logins", "logins", "user_id", logins.event, Keys("user-"), {"logins": logins.LOGINS}),
    Source("orders", "orders", "order_id", orders.event, None, {"order-values": orders.ORDERS}),
    Source(
        "mobile", "mobile_actions", "id", mobile.event, Keys("phone-"), {"mobile-actions": mobile.ACTIONS}, json=True
    ),
    Source(
        "racks",
        "rack_readings",
        "rack",
        racks.event,
        Keys("rack-", width=2, count=5),
        {"rack-temperatures": racks.TEMPERATURES, "rack-alerts": racks.ALERTS},
        json=True,
    ),
]

SOURCES = project.joined({source.name: source for source in _CATALOGUE}, "SOURCES")
SAMPLES: dict[str, Sample] = {job: sample for source in SOURCES.values() for job, sample in source.jobs.items()}

_BY_JOB = {job: source for source in SOURCES.values() for job in source.jobs}


def find(name: str) -> Source:
    """Return the source of this name, or the source that the job of this name reads.

    Raises ConfigError with the nearest name.
    """
    source = SOURCES.get(name) or _BY_JOB.get(name)
    if source is None:
        known = [*SOURCES, *_BY_JOB]
        remedy = did_you_mean(name, known, f"there is {', '.join(SOURCES)}; or give a job, as `adstream jobs` lists it")
        raise ConfigError(f"there is nothing called {name} to produce", remedy)
    return source


def job_of(name: str) -> str:
    """Return the job of the sample `name`: the job itself, or the first one of a source. Raises ConfigError."""
    if name in SAMPLES:
        return name
    jobs = list(find(name).jobs)
    if not jobs:
        raise ConfigError(f"{name} has no sample", f"generate events: `adstream produce {name} --count 100`")
    return jobs[0]
