"""Expiring totals: the rows' own times decide on a pause, in whatever batches they arrive. Timers only evict state."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from streaming.patterns.expiring_totals import ExpiringTotals, expiring_totals
from tests.patterns.keyed_runs import TRANSACTION, remembered, shuffled, timers, values
from tests.patterns.pattern_runs import Event, as_batch, as_stream, by_key


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2025-03-29T{clock}+00:00")


def paid(user: str, amount: float, clock: str) -> Event:
    return user, f"{user}@{clock}", at(clock), amount


BEFORE = [paid("user1", 100.0, "10:00"), paid("user1", 50.0, "10:15"), paid("user2", 200.0, "10:30")]
AFTER = paid("user1", 30.0, "11:30")
LAST = {
    ("user1",): ("user1", Decimal(30), 1, at("11:30"), None),
    ("user2",): ("user2", Decimal(200), 1, at("10:30"), None),
}


def table(rows: list[Row]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {key: values(row) for key, row in by_key(rows, "user_id").items()}


def test_the_figures_as_a_batch_and_as_one_micro_batch(spark: SparkSession, tmp_path: Path) -> None:
    """If a timer decided, the total would be 180: the timer fires only after the row of 11:30 is added."""
    events = [*BEFORE, AFTER]
    rows = as_batch(spark, events, TRANSACTION, expiring_totals)
    assert rows[0].__fields__ == ["user_id", "total", "transactions", "last_transaction", "late_rows"]
    assert table(rows) == LAST
    assert table(as_stream(spark, tmp_path, shuffled([events]), TRANSACTION, expiring_totals)) == LAST


def test_the_figures_with_the_last_row_in_a_batch_of_its_own(spark: SparkSession, tmp_path: Path) -> None:
    rows = as_stream(spark, tmp_path, shuffled([BEFORE, [AFTER]]), TRANSACTION, expiring_totals)
    assert [row["total"] for row in rows if row["user_id"] == "user1"] == [150, 30]
    assert table(rows) == LAST


def test_state_goes_once_the_watermark_has_passed_the_timeout(spark: SparkSession, tmp_path: Path) -> None:
    """User 2's hour ends at 11:30, and the watermark is ten minutes behind. The first run crashes in the middle."""
    batches = [[event] for event in [*BEFORE, AFTER, paid("user3", 1.0, "11:39:59")]]
    rows = as_stream(spark, tmp_path / "before", [*batches, []], TRANSACTION, expiring_totals, crash_at=3)
    assert table(rows) == LAST | {("user3",): ("user3", Decimal(1), 1, at("11:39:59"), None)}
    assert remembered(spark, tmp_path / "before").keys() == {"user1", "user2", "user3"}
    batches[-1] = [paid("user3", 1.0, "11:40")]
    as_stream(spark, tmp_path / "after", [*batches, []], TRANSACTION, expiring_totals)
    assert remembered(spark, tmp_path / "after").keys() == {"user1", "user3"}
    # User 1's timer was set for 11:00 at the first row. It has moved to one hour after the last row.
    ends = {"user1": at("12:30"), "user3": at("12:40")}
    assert timers(spark, tmp_path / "after") == {user: end.timestamp() * 1000 for user, end in ends.items()}


def test_rows_older_than_a_batch_before_are_counted_and_not_used_and_repetitions_are_ignored(
    spark: SparkSession, tmp_path: Path
) -> None:
    batches = [
        [paid("u", 1.0, "10:05")],
        [paid("u", 2.0, "10:04"), paid("u", 4.0, "10:03"), paid("u", 8.0, "10:05:01"), paid("u", 1.0, "10:05")],
        [paid("u", 1.0, "10:05"), paid("u", 8.0, "10:05:01")],
    ]
    rows = as_stream(spark, tmp_path, batches, TRANSACTION, expiring_totals)
    assert [values(row) for row in rows] == [
        ("u", Decimal(1), 1, at("10:05"), None),
        ("u", Decimal(9), 2, at("10:05:01"), None),
        ("u", None, None, None, 2),
    ]


@pytest.mark.parametrize(("pause", "total"), [(timedelta(hours=1), 180), (timedelta(hours=1, microseconds=1), 30)])
def test_exactly_the_timeout_is_no_pause(pause: timedelta, total: int) -> None:
    hour, microsecond = timedelta(hours=1), timedelta(microseconds=1)
    rules = ExpiringTotals(timeout=hour // microsecond)
    start = int(datetime(2025, 3, 29, 10, tzinfo=UTC).timestamp()) * 1_000_000
    end = start + pause // microsecond
    for batches in ([[(start, "a", 150), (end, "b", 30)]], [[(start, "a", 150)], [(end, "b", 30)]]):
        state = None
        for batch in batches:
            state = rules.take(state, batch).state
        assert state is not None
        assert state.total == total
