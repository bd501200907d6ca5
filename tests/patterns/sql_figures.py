"""Expected rows of each SQL pattern for a few events, worked out by hand.

All events are on time. Late events have tests with each pattern.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Row

from streaming.patterns.ad_clicks import ad_clicks
from streaming.patterns.fruit_categories import fruit_categories
from streaming.patterns.hourly_sales import hourly_sales
from streaming.patterns.logins import logins
from streaming.patterns.mobile_actions import mobile_actions
from streaming.patterns.order_values import order_values
from streaming.patterns.rack_temperatures import rack_temperatures
from streaming.patterns.sensors import sensor_averages, sensor_moving_averages
from streaming.patterns.session_windows import session_windows
from streaming.patterns.top_products import top_products
from streaming.patterns.transactions import transaction_totals, transaction_windows
from streaming.patterns.unique_visitors import unique_visitors
from streaming.patterns.user_clicks import user_clicks
from tests.patterns.pattern_runs import Event, Pattern, by_key

CATEGORIES = resources.files("streaming") / "data" / "fruit_categories.csv"


@dataclass(frozen=True)
class Figures:
    """Events, and the rows that they must give. Key columns come first; times of day are text."""

    job: str
    pattern: Pattern
    schema: str
    events: Sequence[Event]
    key: tuple[str, ...]
    values: tuple[str, ...]
    expected: set[tuple[Any, ...]]
    output_mode: str = "update"
    # Append mode needs an event so much later that it closes all windows but its own.
    closing: Event | None = None

    def found(self, rows: Iterable[Row]) -> set[tuple[Any, ...]]:
        return {
            tuple(_shown(row[name]) for name in (*self.key, *self.values)) for row in by_key(rows, *self.key).values()
        }


def at(time: str) -> datetime:
    """Return a time of day on 30 July 2023, UTC."""
    return datetime.fromisoformat(f"2023-07-30T{time}+00:00")


def clock(time: datetime) -> str:
    """Return the UTC time of day. Spark gives times as local times of the machine."""
    return time.astimezone(UTC).strftime("%H:%M:%S")


def _shown(value: object) -> object:
    return clock(value) if isinstance(value, datetime) else value


def _after_ten(minutes: int) -> str:
    return f"{10 + minutes // 60}:{minutes % 60:02}:00"


def _with_categories(events: DataFrame) -> DataFrame:
    read = events.sparkSession.read.csv(str(CATEGORIES), header=True, schema="id int, category string")
    return fruit_categories(events, read)


def _listed_categories() -> dict[int, str]:
    with Path(str(CATEGORIES)).open(encoding="utf-8", newline="") as file:
        return {int(row["id"]): row["category"] for row in csv.DictReader(file)}


CLICKS = "user_id string, event string, eventtimestamp timestamp"
SALES = "product_id string, sales_amount int, event_time timestamp"
READINGS = "sensor_id string, temperature double, timestamp timestamp"
TRANSACTIONS = "user_id string, amount int, timestamp timestamp"

CLICK_EVENTS = [
    ("user1", "click", at("10:00:00")),
    ("user1", "click", at("10:00:20")),
    ("user2", "view", at("10:01:00")),
    ("user1", "click", at("10:01:20")),
    ("user2", "click", at("10:02:00")),
]
READING_EVENTS = [
    ("s1", 20.0, at("10:00:00")),
    ("s1", 22.0, at("10:02:00")),
    ("s1", 27.0, at("10:04:59.999")),
    ("s1", 29.0, at("10:05:00")),
    ("s2", -5.5, at("10:04:30")),
]
# One a minute, from three users in rotation: 100, 200, 300, ... 5100.
TRANSACTION_EVENTS = [
    (f"user{nth % 3 + 1}", 100 * (nth + 1), at("10:00:00") + timedelta(minutes=nth)) for nth in range(51)
]
FRUITS = {1: "apple", 2: "banana", 22: "vanilla bean", 26: "zucchini"}
FRUIT_EVENTS = [
    (fruit, FRUITS.get(fruit, f"fruit {fruit}"), at("10:00:00") + timedelta(seconds=10 * (fruit - 1)))
    for fruit in range(1, 31)
]
RACK_EVENTS = [
    (rack, temperature, datetime(2017, 6, 2, 8, 5 * nth, tzinfo=UTC))
    for rack, temperatures in {"rack1": [99.5, 100.5, 101.0, 102.0], "rack2": [99.5, 105.5, 104.0, 108.0]}.items()
    for nth, temperature in enumerate(temperatures)
]
ALL_FIGURES = [
    Figures(
        "ad-clicks",
        ad_clicks,
        "ad_id string, timestamp timestamp, clicks int, event_id string, position string",
        [
            ("ad1", at("10:00:00"), 1, None, "0"),
            ("ad1", at("10:00:15"), 2, "b", "1"),
            ("ad1", at("10:00:15"), 2, "b", "2"),
            ("ad1", at("10:00:35"), 4, "", "3"),
            ("ad2", at("10:00:29.999"), 8, None, "4"),
        ],
        ("ad_id", "window_start"),
        ("window_end", "total_clicks"),
        {
            ("ad1", "09:59:40", "10:00:10", 1),
            ("ad1", "09:59:50", "10:00:20", 3),
            ("ad1", "10:00:00", "10:00:30", 3),
            ("ad1", "10:00:10", "10:00:40", 6),
            ("ad1", "10:00:20", "10:00:50", 4),
            ("ad1", "10:00:30", "10:01:00", 4),
            ("ad2", "10:00:00", "10:00:30", 8),
            ("ad2", "10:00:10", "10:00:40", 8),
            ("ad2", "10:00:20", "10:00:50", 8),
        },
    ),
    Figures(
        "sensor-averages",
        # A shuffled reading may come minutes late.
        partial(sensor_averages, watermark=timedelta(hours=1)),
        READINGS,
        READING_EVENTS,
        ("sensor_id", "window_start"),
        ("window_end", "avg_temperature", "reading_count", "min_temperature", "max_temperature"),
        {
            ("s1", "10:00:00", "10:05:00", 23.0, 3, 20.0, 27.0),
            ("s1", "10:05:00", "10:10:00", 29.0, 1, 29.0, 29.0),
            ("s2", "10:00:00", "10:05:00", -5.5, 1, -5.5, -5.5),
        },
        "append",
        ("s1", 0.0, at("12:00:00")),
    ),
    Figures(
        "sensor-moving-averages",
        partial(sensor_moving_averages, watermark=timedelta(hours=1)),
        READINGS,
        READING_EVENTS,
        ("sensor_id", "window_start"),
        ("window_end", "avg_temperature", "reading_count"),
        {
            ("s1", "09:56:00", "10:01:00", 20.0, 1),
            ("s1", "09:57:00", "10:02:00", 20.0, 1),
            ("s1", "09:58:00", "10:03:00", 21.0, 2),
            ("s1", "09:59:00", "10:04:00", 21.0, 2),
            ("s1", "10:00:00", "10:05:00", 23.0, 3),
            ("s1", "10:01:00", "10:06:00", 26.0, 3),
            ("s1", "10:02:00", "10:07:00", 26.0, 3),
            ("s1", "10:03:00", "10:08:00", 28.0, 2),
            ("s1", "10:04:00", "10:09:00", 28.0, 2),
            ("s1", "10:05:00", "10:10:00", 29.0, 1),
            *(("s2", f"10:0{minute}:00", f"10:0{minute + 5}:00", -5.5, 1) for minute in range(5)),
        },
        "append",
        ("s1", 0.0, at("12:00:00")),
    ),
    Figures(
        "transaction-totals",
        transaction_totals,
        TRANSACTIONS,
        TRANSACTION_EVENTS,
        ("user_id",),
        ("total",),
        {("user1", 42_500), ("user2", 44_200), ("user3", 45_900)},
        "complete",
    ),
    Figures(
        "transaction-windows",
        transaction_windows,
        TRANSACTIONS,
        TRANSACTION_EVENTS,
        ("user_id", "window_start"),
        ("window_end", "total"),
        # Each window of 3 minutes has one transaction of each user.
        {
            (f"user{user}", _after_ten(3 * window), _after_ten(3 * window + 3), 300 * window + 100 * user)
            for window in range(17)
            for user in (1, 2, 3)
        },
        "complete",
    ),
    Figures(
        "user-clicks",
        user_clicks,
        CLICKS,
        CLICK_EVENTS,
        ("user_id", "window_start"),
        ("window_end", "clicks"),
        {
            ("user1", "10:00:00", "10:01:00", 2),
            ("user2", "10:01:00", "10:02:00", 1),
            ("user1", "10:01:00", "10:02:00", 1),
            ("user2", "10:02:00", "10:03:00", 1),
        },
    ),
    Figures(
        "session-windows",
        session_windows,
        CLICKS,
        CLICK_EVENTS,
        ("user_id", "session_start"),
        ("session_end", "duration_seconds", "events"),
        {
            ("user1", "10:00:00", "10:00:20", 20.0, 2),
            ("user1", "10:01:20", "10:01:20", 0.0, 1),
            ("user2", "10:01:00", "10:01:00", 0.0, 1),
            ("user2", "10:02:00", "10:02:00", 0.0, 1),
        },
        "append",
        ("user1", "click", at("12:00:00")),
    ),
    Figures(
        "unique-visitors",
        unique_visitors,
        CLICKS,
        [
            ("user1", "click", at("10:05:00")),
            ("user1", "click", at("10:20:00")),
            ("user2", "click", at("10:29:59.999")),
            ("user3", "click", at("10:30:00")),
            ("user1", "click", at("10:39:00")),
        ],
        ("window_start",),
        ("window_end", "visitors"),
        {
            ("09:30:00", "10:30:00", 2),
            ("10:00:00", "11:00:00", 3),
            ("10:30:00", "11:30:00", 2),
        },
    ),
    Figures(
        "fruit-categories",
        _with_categories,
        "id int, value string, timestamp timestamp",
        [*FRUIT_EVENTS, (31, "of no category", at("10:05:00"))],
        ("id",),
        ("value", "category", "timestamp"),
        {(fruit, name, _listed_categories()[fruit], time.strftime("%H:%M:%S")) for fruit, name, time in FRUIT_EVENTS},
        "append",
    ),
    Figures(
        "hourly-sales",
        hourly_sales,
        SALES,
        [
            ("p1", 100, at("10:15:00")),
            ("p1", 50, at("10:59:59.999")),
            ("p2", 70, at("10:30:00")),
            ("p1", 30, at("11:00:00")),
            ("p1", -5, at("10:50:00")),
        ],
        ("product_id", "window_start"),
        ("window_end", "total_sales"),
        {
            ("p1", "10:00:00", "11:00:00", 145),
            ("p2", "10:00:00", "11:00:00", 70),
            ("p1", "11:00:00", "12:00:00", 30),
        },
    ),
    Figures(
        "top-products",
        top_products,
        SALES,
        [
            ("p1", 100, at("10:00:00")),
            ("p2", 90, at("10:10:00")),
            ("p1", 20, at("10:29:59.999")),
            ("p1", 5, at("10:30:00")),
            ("p2", 2_147_483_647, at("10:31:00")),
            ("p2", 2_147_483_647, at("10:32:00")),
        ],
        ("window_start", "product_id"),
        ("window_end", "total_sales"),
        {
            ("10:00:00", "p1", "10:30:00", 120),
            ("10:00:00", "p2", "10:30:00", 90),
            ("10:30:00", "p1", "11:00:00", 5),
            ("10:30:00", "p2", "11:00:00", 4_294_967_294),
        },
    ),
    Figures(
        "logins",
        logins,
        "user_id string, timestamp timestamp",
        [
            ("user1", at("10:00:00")),
            ("user1", at("10:04:59.999")),
            ("user2", at("10:12:00")),
            ("user2", at("10:12:00")),
            ("user3", at("10:14:00")),
        ],
        ("window_start",),
        ("window_end", "logins"),
        # From 10:05 to 10:10 there is no login, and so no row.
        {("10:00:00", "10:05:00", 2), ("10:10:00", "10:15:00", 3)},
    ),
    Figures(
        "order-values",
        order_values,
        "order_id string, amount double, timestamp timestamp",
        [
            ("o1", 0.1, at("10:00:00")),
            ("o2", 0.2, at("10:30:00")),
            ("o3", 0.3, at("10:59:00")),
            ("o4", 1_000_000.0, at("11:00:00")),
            ("o5", 0.0, at("11:00:01")),
            ("o6", 0.000001, at("11:05:00")),
        ],
        ("window_start",),
        ("window_end", "orders", "average_order_value"),
        {
            ("10:00:00", "11:00:00", 3, Decimal("0.200000")),
            ("11:00:00", "12:00:00", 3, Decimal("333333.333334")),
        },
    ),
    Figures(
        "mobile-actions",
        mobile_actions,
        "id string, action string, ts timestamp",
        [
            *(("phone1", "open", at(f"10:0{minute}:30")) for minute in range(8)),
            *(("phone2", "close", at(f"10:0{minute}:59.999")) for minute in range(4, 10)),
            ("phone1", "open", at("10:10:00")),
            ("phone1", "open", at("10:19:00")),
        ],
        ("action", "window_start"),
        ("window_end", "actions"),
        {
            ("open", "10:00:00", "10:10:00", 8),
            ("close", "10:00:00", "10:10:00", 6),
            ("open", "10:10:00", "10:20:00", 2),
        },
        "complete",
    ),
    Figures(
        "rack-temperatures",
        rack_temperatures,
        "rack string, temperature float, ts timestamp",
        RACK_EVENTS,
        ("rack", "window_start"),
        ("window_end", "avg_temperature", "readings"),
        {
            (rack, start, end, average, readings)
            for rack, averages, each in [
                ("all", [99.5, 101.25, 102.75, 103.75, 105.0], 2),
                ("rack1", [99.5, 100.0, 100.75, 101.5, 102.0], 1),
                ("rack2", [99.5, 102.5, 104.75, 106.0, 108.0], 1),
            ]
            for (start, end), average, readings in zip(
                [
                    ("07:55:00", "08:05:00"),
                    ("08:00:00", "08:10:00"),
                    ("08:05:00", "08:15:00"),
                    ("08:10:00", "08:20:00"),
                    ("08:15:00", "08:25:00"),
                ],
                averages,
                [each, 2 * each, 2 * each, 2 * each, each],
                strict=True,
            )
        },
        "complete",
    ),
]
