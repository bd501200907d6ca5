"""Running totals: the same last totals in any batching, and each transaction once."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from streaming.patterns.running_totals import Account, RunningTotals, running_totals
from tests.patterns.keyed_runs import TRANSACTION, remembered, shuffled, timers, values
from tests.patterns.pattern_runs import Event, as_batch, as_stream, by_key


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC)


def paid(user: str, transaction: str, seconds: int, amount: float) -> Event:
    return user, transaction, at(seconds), amount


BATCHES = [
    [paid("user1", "tx1001", 0, 50.0)],
    [paid("user1", "tx1002", 20, 30.0), paid("user2", "tx2001", 40, 20.0)],
    [paid("user1", "tx1003", 60, 40.0), paid("user2", "tx2002", 80, 60.0)],
]
ALL = [event for batch in BATCHES for event in batch]
LAST = {
    ("user1",): ("user1", Decimal(120), 3, at(60)),
    ("user2",): ("user2", Decimal(80), 2, at(80)),
}


def table(rows: list[Row]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {key: values(row) for key, row in by_key(rows, "user_id").items()}


def test_the_figures_as_a_batch_and_as_one_micro_batch(spark: SparkSession, tmp_path: Path) -> None:
    rows = as_batch(spark, ALL, TRANSACTION, running_totals)
    assert rows[0].asDict().keys() == {"user_id", "total", "transactions", "last_transaction"}
    assert len(rows) == 2
    assert table(rows) == LAST
    assert table(as_stream(spark, tmp_path, shuffled([ALL]), TRANSACTION, running_totals)) == LAST


def test_the_figures_as_three_micro_batches(spark: SparkSession, tmp_path: Path) -> None:
    rows = as_stream(spark, tmp_path, shuffled(BATCHES), TRANSACTION, running_totals)
    assert [row["total"] for row in rows if row["user_id"] == "user1"] == [50, 80, 120]
    assert [row["total"] for row in rows if row["user_id"] == "user2"] == [20, 80]
    assert table(rows) == LAST


def test_backwards_and_with_a_crash_between_the_last_totals_are_the_same(spark: SparkSession, tmp_path: Path) -> None:
    assert table(as_stream(spark, tmp_path, BATCHES[::-1], TRANSACTION, running_totals, crash_at=1)) == LAST


def test_a_repetition_counts_once_even_in_the_batch_in_which_its_id_expires(
    spark: SparkSession, tmp_path: Path
) -> None:
    first = paid("u", "a", 0, 1.0)
    batches = [
        [first, first],
        [first, paid("v", "b", 3600, 2.0)],
        # Spark drops late rows by the previous batch's watermark. So this row passes, although this batch's watermark
        # has passed it.
        [first, paid("v", "c", 3601, 3.0)],
        [first, paid("w", "d", 7200, 4.0)],
        [],
    ]
    rows = as_stream(spark, tmp_path, batches, TRANSACTION, running_totals)
    assert [values(row)[:3] for row in rows if row["user_id"] == "u"] == [("u", Decimal(1), 1)]
    state = remembered(spark, tmp_path)
    assert {user: (account["total"], account["ids"]) for user, account in state.items()} == {
        "u": (1_000_000, {}),
        "v": (5_000_000, {}),
        "w": (4_000_000, {"d": (1_700_000_000 + 7200) * 1_000_000}),
    }
    assert timers(spark, tmp_path).keys() == {"w"}


def test_money_is_exact(spark: SparkSession) -> None:
    amounts = [0.1] * 10 + [1.0000005, -0.3, 1e6]
    rows = as_batch(spark, [paid("u", str(n), n, a) for n, a in enumerate(amounts)], TRANSACTION, running_totals)
    assert [row["total"] for row in rows] == [Decimal("1000001.700001")]


@pytest.mark.parametrize("repeated_at", [999, 1_000, 2_000])
def test_while_an_id_is_remembered_its_repetition_under_another_time_is_ignored(repeated_at: int) -> None:
    rules = RunningTotals()
    known = rules.take(None, [(1_000, "a", 5)]).state
    assert rules.take(known, [(repeated_at, "a", 5)]) == (known, [], 0)


def test_once_an_id_is_forgotten_its_repetition_under_a_newer_time_counts_again() -> None:
    rules = RunningTotals()
    forgotten = rules.expire(rules.take(None, [(1_000, "a", 5)]).state, 1_000)
    assert forgotten == Account(5, 1, 1_000, {})
    assert rules.take(forgotten, [(2_000, "a", 5)]).emitted == [(10, 2, 2_000)]
