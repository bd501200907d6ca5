"""Ranks compare a window's totals, not a batch's rows."""

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.top_products import ranked, top_products
from tests.patterns.pattern_runs import as_stream, by_key
from tests.patterns.sql_figures import SALES, at


@pytest.mark.parametrize(
    ("totals", "ranks"),
    [
        ([], []),
        ([("p1", 5)], [(1, "p1", 5)]),
        ([("p1", 5), ("p2", 9)], [(1, "p2", 9), (2, "p1", 5)]),
        ([("p4", 1), ("p3", 2), ("p2", 3), ("p1", 4)], [(1, "p1", 4), (2, "p2", 3), (3, "p3", 2)]),
        ([("p9", 7), ("p10", 7), ("p2", 7), ("p1", 8)], [(1, "p1", 8), (2, "p10", 7), (3, "p2", 7)]),
        ([("p1", -5), ("p2", 0)], [(1, "p2", 0), (2, "p1", -5)]),
    ],
)
def test_ranks_go_by_total_and_ties_by_product(
    totals: list[tuple[str, int]], ranks: list[tuple[int, str, int]]
) -> None:
    assert ranked(totals) == ranks


def test_the_order_in_which_totals_come_does_not_change_their_ranks() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    totals = [(f"p{nth}", rng.randrange(5)) for nth in range(50)]
    by_hand = sorted(sorted(totals), key=lambda each: each[1], reverse=True)
    for top in (1, 3, 50, 60):
        expected = [(rank, product, total) for rank, (product, total) in enumerate(by_hand[:top], start=1)]
        assert ranked(iter(rng.sample(totals, len(totals))), top=top) == expected


def test_a_batch_alone_would_lose_the_leader_and_keep_who_has_fallen_out(spark: SparkSession, tmp_path: Path) -> None:
    first = [("p1", 100), ("p2", 50), ("p3", 40), ("p4", 10)]
    second = [("p4", 35), ("p3", 1)]
    batches = [[(product, amount, at("10:00:00")) for product, amount in batch] for batch in (first, second)]
    rows = as_stream(spark, tmp_path, batches, StructType.fromDDL(SALES), top_products)
    emitted = [(row["product_id"], row["total_sales"]) for row in rows]
    assert sorted(emitted[4:]) == [("p3", 41), ("p4", 45)]
    kept = [(row["product_id"], row["total_sales"]) for row in by_key(rows, "window_start", "product_id").values()]
    assert ranked(kept) == [(1, "p1", 100), (2, "p2", 50), (3, "p4", 45)]
