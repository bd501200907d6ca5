"""Ads: views and clicks, and their cost."""

from random import Random

from producer.broken import AD_VALUES
from producer.samples import Event, Sample, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

MOST_CLICKS = 5
MOST_VIEWS = 50


def event(rng: Random, ad_id: str, timestamp: int, event_id: str) -> Event:
    """Make an event with at most as many clicks as views."""
    draw = rng.random
    clicks = int(draw() * (MOST_CLICKS + 1))
    views = clicks + int(draw() * (MOST_VIEWS + 1 - clicks))
    return {
        "ad_id": ad_id,
        "timestamp": timestamp,
        "clicks": clicks,
        "views": views,
        "cost": round(views * 0.01 * draw() + clicks * 0.5 * draw(), 4),
        "event_id": event_id,
    }


def _ad(ad_id: str, time: str, clicks: int, views: int, cost: float, event_id: str) -> Event:
    return {
        "ad_id": ad_id,
        "timestamp": millis(f"2025-01-31T{time}Z"),
        "clicks": clicks,
        "views": views,
        "cost": cost,
        "event_id": event_id,
    }


# The sums: ad1 7 clicks, 120 views, cost 5.40, 0.045 a view; ad2 2, 30, 2.00, 0.066667; ad3 no views, so no average.
# One event comes twice and counts once. The job refuses events older than 10 minutes, so the times move to now.
METRICS = Sample(
    [
        [
            _ad("ad1", "10:00:00", 1, 10, 0.50, "e1"),
            _ad("ad1", "10:00:15", 1, 20, 1.00, "e2"),
            _ad("ad2", "10:00:20", 0, 5, 0.25, "e3"),
            _ad("ad1", "10:00:30", 2, 30, 1.50, "e4"),
            _ad("ad1", "10:00:30", 2, 30, 1.50, "e4"),
            _ad("ad2", "10:00:45", 1, 10, 0.75, "e5"),
            _ad("ad2", "10:01:00", 0, 5, 0.10, "e6"),
            _ad("ad1", "10:01:10", 3, 40, 2.00, "e7"),
            _ad("ad2", "10:01:29", 1, 10, 0.90, "e8"),
            _ad("ad1", "10:01:30", 0, 20, 0.40, "e9"),
            _ad("ad3", "10:01:40", 0, 0, 0.00, "e10"),
        ]
    ],
    recent=True,
)

# The job emits these ten events unchanged.
TAIL = one_step(_ad(f"ad{n % 2 + 1}", f"10:00:{n:02}", n % 3, 10 * n, n / 4, f"t{n}") for n in range(10))

# ad1 has a click every 5 seconds of a minute: 6 in each full window of 30 seconds, and 2 or 4 in the first and last
# windows. ad2 has 3 clicks at 10:00:29, so 3 in each of its three windows.
CLICKS = one_step(
    sorted(
        [
            *(_ad("ad1", f"10:00:{second:02}", 1, 1, 0.01, f"c{second}") for second in range(0, 60, 5)),
            _ad("ad2", "10:00:29", 3, 9, 0.09, "c29"),
        ],
        key=lambda ad: ad["timestamp"],
    )
)

SOURCE = Source(
    "ads",
    "ads_data",
    "ad_id",
    event,
    Keys("ad-"),
    {"ad-metrics": METRICS, "ad-tail": TAIL, "ad-clicks": CLICKS},
    impossible=AD_VALUES,
)
