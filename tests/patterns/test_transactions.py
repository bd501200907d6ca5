"""In output mode complete, each batch emits all rows again, evicts none and drops none. Mode update is compared."""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.transactions import transaction_totals, transaction_windows
from tests.patterns.pattern_runs import as_batch, as_stream, by_key
from tests.patterns.sql_figures import TRANSACTIONS, at, clock


def test_a_users_windows_add_up_to_the_users_total_and_the_users_to_the_input(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # The amounts are so large that a sum of ints overflows.
    events = [
        (
            f"user{rng.randrange(4)}",
            rng.randint(-100, 2**31 - 1),
            at("10:00:00") + timedelta(seconds=rng.randrange(3600)),
        )
        for _ in range(300)
    ]
    expected: Counter[str] = Counter()
    for user, amount, _ in events:
        expected[user] += amount
    schema = StructType.fromDDL(TRANSACTIONS)
    totals = as_batch(spark, events, schema, transaction_totals)
    assert {row["user_id"]: row["total"] for row in totals} == expected
    windows: Counter[str] = Counter()
    for row in as_batch(spark, events, schema, transaction_windows):
        windows[row["user_id"]] += row["total"]
    assert windows == expected


def test_complete_gives_every_window_again_and_takes_late_rows_where_update_does_neither(
    spark: SparkSession, tmp_path: Path
) -> None:
    old, new, late = ("user1", 1, at("10:00:00")), ("user1", 10, at("11:00:00")), ("user1", 100, at("10:01:00"))
    batches = [[old, new], [], [late], [new]]
    schema = StructType.fromDDL(TRANSACTIONS)
    complete = as_stream(spark, tmp_path / "c", batches, schema, transaction_windows, output_mode="complete")
    last = [(clock(row["window_start"]), row["total"]) for row in complete[-2:]]
    assert sorted(last) == [("10:00:00", 101), ("11:00:00", 20)]
    update = as_stream(spark, tmp_path / "u", batches, schema, transaction_windows, output_mode="update")
    assert [(clock(row["window_start"]), row["total"]) for row in update[2:]] == [("11:00:00", 20)]
    table = {clock(start): row["total"] for (start,), row in by_key(update, "window_start").items()}
    assert table == {"10:00:00": 1, "11:00:00": 20}
