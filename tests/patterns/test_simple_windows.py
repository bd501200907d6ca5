"""Usual mistakes with simple windows: lateness, boundaries, repeated events, money, and sums that are no totals."""

import random
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.ad_clicks import ad_clicks
from streaming.patterns.hourly_sales import hourly_sales
from streaming.patterns.order_values import order_values
from streaming.patterns.unique_visitors import unique_visitors
from streaming.patterns.user_clicks import user_clicks
from tests.patterns.pattern_runs import as_batch, as_stream, by_key
from tests.patterns.sql_figures import CLICKS, SALES, at, clock

ADS = "ad_id string, timestamp timestamp, clicks int, event_id string, position string"
ORDERS = "order_id string, amount double, timestamp timestamp"


def test_user_clicks_counts_a_late_event_of_an_open_window_and_forgets_closed_windows(
    spark: SparkSession, tmp_path: Path
) -> None:
    batches = [
        [("user1", "click", at("10:00:10")), ("user1", "click", at("10:10:59"))],
        [],
        # At a watermark of 10:00:59 the first minute is open. Then the watermark moves to its end, 10:01:00.
        [("user1", "click", at("10:00:20")), ("user1", "click", at("10:11:00"))],
        [],
        [("user1", "click", at("10:00:30")), ("user1", "click", at("10:01:00"))],
    ]
    rows = as_stream(spark, tmp_path, batches, StructType.fromDDL(CLICKS), user_clicks)
    counts = {clock(start): row["clicks"] for (start,), row in by_key(rows, "window_start").items()}
    assert counts == {"10:00:00": 2, "10:01:00": 1, "10:10:00": 1, "10:11:00": 1}
    state = spark.read.format("statestore").load(str(tmp_path / "checkpoint")).select("key.window.start").collect()
    assert {clock(row["start"]) for row in state} == {"10:01:00", "10:10:00", "10:11:00"}


def test_hourly_sales_gives_whole_totals_and_only_of_what_has_changed(spark: SparkSession, tmp_path: Path) -> None:
    batches = [[("p1", 100, at("10:00:00")), ("p2", 70, at("10:01:00"))], [("p1", 11, at("10:02:00"))]]
    rows = as_stream(spark, tmp_path, batches, StructType.fromDDL(SALES), hourly_sales)
    emitted = [(row["product_id"], row["total_sales"]) for row in rows]
    assert sorted(emitted[:2]) == [("p1", 100), ("p2", 70)]
    assert emitted[2:] == [("p1", 111)]


def test_ad_clicks_counts_an_event_id_once_and_every_event_without_one(spark: SparkSession, tmp_path: Path) -> None:
    first = ("ad1", at("10:00:00"), 1, "same", "0")
    again = ("ad1", at("10:00:00"), 1, "same", "1")
    without_id = [("ad1", at("10:00:01"), 10, no_id, str(nth)) for nth, no_id in enumerate([None, None, "", ""], 2)]
    batches = [[first, *without_id[::2]], [again, *without_id[1::2]]]
    schema = StructType.fromDDL(ADS)
    once = as_stream(spark, tmp_path / "once", batches, schema, ad_clicks)
    assert {row["total_clicks"] for row in by_key(once, "window_start").values()} == {41}
    twice = as_stream(spark, tmp_path / "twice", batches, schema, partial(ad_clicks, dedupe=False))
    assert {row["total_clicks"] for row in by_key(twice, "window_start").values()} == {42}


def test_ad_clicks_drops_what_is_older_than_the_watermark_and_without_dedupe_only_from_closed_windows(
    spark: SparkSession, tmp_path: Path
) -> None:
    # The event of 10:00:15 meets a watermark of 10:00:20. Of its three windows only the window of 09:59:50 is over.
    batches = [[("ad1", at("10:01:20"), 1, None, "0")], [], [("ad1", at("10:00:15"), 1, None, "1")]]
    schema = StructType.fromDDL(ADS)
    dedupe = as_stream(spark, tmp_path / "dedupe", batches, schema, ad_clicks)
    assert {clock(row["window_start"]) for row in dedupe} == {"10:01:00", "10:01:10", "10:01:20"}
    plain = as_stream(spark, tmp_path / "plain", batches, schema, partial(ad_clicks, dedupe=False))
    late = {clock(row["window_start"]) for row in plain} - {clock(row["window_start"]) for row in dedupe}
    assert late == {"10:00:00", "10:00:10"}


def test_ad_clicks_in_windows_that_overlap_add_up_to_three_times_the_clicks(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    events = [
        (
            f"ad{rng.randrange(3)}",
            at("10:00:00") + timedelta(milliseconds=rng.randrange(120_000)),
            rng.randrange(9),
            None,
            str(nth),
        )
        for nth in range(300)
    ]
    rows = as_batch(spark, events, StructType.fromDDL(ADS), ad_clicks)
    for ad in {event[0] for event in events}:
        clicks = sum(event[2] for event in events if event[0] == ad)
        assert sum(row["total_clicks"] for row in rows if row["ad_id"] == ad) == 3 * clicks


def test_order_values_are_exact_in_any_order_of_arrival_and_for_refunds(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # One hour each of large and small amounts, of refunds, of both, and averages of exactly half a millionth.
    amounts = {
        "10": [rng.choice([0.1, 0.7, 999_999.99, 1e-6, 0.0000005]) for _ in range(101)],
        "11": [-rng.randrange(10**9) / 10**4 for _ in range(101)],
        "12": [rng.uniform(-1000, 1000) for _ in range(101)],
        "13": [0.000001, 0.0],
        "14": [-0.000001, 0.0],
        "15": [-0.000001, 0.0, 0.0],
        "16": [-0.000005, 0.0, 0.0],
    }
    events = [("o", amount, at(f"{hour}:30:00")) for hour, hourly in amounts.items() for amount in hourly]
    expected = {
        f"{hour}:00:00": (len(hourly), half_up(sum(half_up(Decimal(repr(each))) for each in hourly) / len(hourly)))
        for hour, hourly in amounts.items()
    }
    schema = StructType.fromDDL(ORDERS)
    shuffled = rng.sample(events, len(events))
    forgiving = partial(order_values, watermark=timedelta(days=1))
    for rows in (
        as_batch(spark, events, schema, order_values),
        as_stream(spark, tmp_path, [shuffled[nth::2] for nth in range(2)], schema, forgiving),
    ):
        table = by_key(rows, "window_start").items()
        assert {clock(start): (row["orders"], row["average_order_value"]) for (start,), row in table} == expected


def half_up(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.000001"), ROUND_HALF_UP)


def test_unique_visitors_is_near_the_truth_for_many_users_however_often_they_come(spark: SparkSession) -> None:
    users = 20_000
    # Everybody comes at 10:05 and again at 10:35. So each of the three windows has the same users, once or twice.
    events = [(f"user{nth}", "click", at(time)) for nth in range(users) for time in ("10:05:00", "10:35:00")]
    rows = as_batch(spark, events, StructType.fromDDL(CLICKS), unique_visitors)
    visitors = {clock(row["window_start"]): row["visitors"] for row in rows}
    assert visitors.keys() == {"09:30:00", "10:00:00", "10:30:00"}
    assert len(set(visitors.values())) == 1
    assert abs(visitors["10:00:00"] - users) < users // 10
