"""The pattern gives the same table as a batch, as one micro-batch, as many shuffled ones, and with a crash between."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from adstream.verify.oracle import Expected, Sums, expect
from streaming.patterns.ad_metrics import LATENESS, SLACK, SLIDE, WINDOW, ad_metrics
from streaming.patterns.arguments import MOST_SLIDES
from tests.patterns.ad_events import NOW, SCHEMA, Event, random_events
from tests.patterns.pattern_runs import as_batch, as_stream, by_key

KEY = ("kind", "ad_id", "window_start")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random_events(random.Random(seed), 600)


def oracle(events: Iterable[Event], window: timedelta = WINDOW, slide: timedelta = SLIDE) -> Expected:
    return expect((event.as_message() for event in events), window=window, slide=slide, dedupe=True)


def sums(row: Row) -> Sums:
    return Sums(row["total_clicks"], row["total_views"], row["total_cost"], row["avg_cost_per_view"])


def check(rows: Iterable[Row], expected: Expected) -> None:
    kept = by_key(rows, *KEY).values()
    windows = {(r["ad_id"], r["window_start"].astimezone(UTC)): sums(r) for r in kept if r["kind"] == "window"}
    assert windows == expected.windows
    assert {row["ad_id"]: sums(row) for row in kept if row["kind"] == "total"} == expected.totals


def test_as_a_batch_it_equals_the_oracle(spark: SparkSession, events: list[Event]) -> None:
    check(as_batch(spark, events, SCHEMA, ad_metrics), oracle(events))


def test_as_one_micro_batch_it_equals_the_oracle(spark: SparkSession, events: list[Event], tmp_path: Path) -> None:
    check(as_stream(spark, tmp_path, [events], SCHEMA, ad_metrics), oracle(events))


def test_a_job_of_the_usual_memory_runs_with_as_many_windows_as_it_accepts(
    spark: SparkSession, events: list[Event], tmp_path: Path
) -> None:
    few, slide = events[:20], timedelta(minutes=10)
    wide = partial(ad_metrics, window=MOST_SLIDES * slide, slide=slide)
    check(as_stream(spark, tmp_path, [few], SCHEMA, wide), oracle(few, MOST_SLIDES * slide, slide))


def test_shuffled_into_micro_batches_with_a_crash_between_it_equals_the_oracle(
    spark: SparkSession, events: list[Event], tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    shuffled = random.Random(seed).sample(events, len(events))
    batches = [shuffled[start : start + 200] for start in range(0, len(shuffled), 200)]
    check(as_stream(spark, tmp_path, batches, SCHEMA, ad_metrics, crash_at=1), oracle(events))


def total_clicks(rows: Iterable[Row]) -> list[int]:
    return [row["total_clicks"] for key, row in by_key(rows, *KEY).items() if key[0] == "total"]


def test_without_dedupe_every_event_counts(spark: SparkSession) -> None:
    twice = [Event("ad", NOW, 1, 1, 0.1, "same", str(number)) for number in range(2)]
    assert total_clicks(as_batch(spark, twice, SCHEMA, lambda rows: ad_metrics(rows, dedupe=False))) == [2]
    assert total_clicks(as_batch(spark, twice, SCHEMA, ad_metrics)) == [1]


@pytest.mark.parametrize("no_id", [None, ""])
def test_events_without_an_id_never_repeat(spark: SparkSession, tmp_path: Path, no_id: str | None) -> None:
    batches = [[Event("ad", NOW, 1, 1, 0.1, no_id, f"{batch}{n}") for n in range(3)] for batch in range(2)]
    assert total_clicks(as_stream(spark, tmp_path, batches, SCHEMA, ad_metrics)) == [6]


def test_an_id_that_reads_like_a_position_is_no_position(spark: SparkSession) -> None:
    events = [
        Event("ad", NOW, 1, 1, 0.1, None, "ads_data:0:7"),
        Event("ad", NOW, 1, 1, 0.1, "ads_data:0:7", "ads_data:0:8"),
    ]
    assert total_clicks(as_batch(spark, events, SCHEMA, ad_metrics)) == [2]


def test_windows_are_evicted_and_totals_stay(spark: SparkSession, tmp_path: Path) -> None:
    def at(number: int, minutes: int) -> Event:
        return Event("ad", NOW + timedelta(minutes=minutes), 1, 1, 0.1, None, str(number))

    batches = [[at(0, 0)], [at(1, 120)], [at(2, 121)], [at(3, 122)]]
    as_stream(spark, tmp_path, batches, SCHEMA, ad_metrics)
    state = spark.read.format("statestore").option("operatorId", 0).load(str(tmp_path / "checkpoint"))
    ends = {row["key"]["bucket"]["end"].astimezone(UTC) for row in state.select("key").collect()}
    assert datetime(2200, 1, 1, tzinfo=UTC) in ends
    assert min(ends) > NOW + timedelta(minutes=100)


def test_an_event_counts_as_long_as_lateness_and_slack_allow_it(spark: SparkSession, tmp_path: Path) -> None:
    """Another partition, or an event ahead of its arrival, may have moved the watermark by the whole slack."""
    newest = NOW + LATENESS + SLACK - timedelta(milliseconds=1)
    batches = [[Event("ad", newest, 1, 1, 0.1, "newest", "0")], [], [Event("ad", NOW, 1, 1, 0.1, "oldest", "1")]]
    assert max(total_clicks(as_stream(spark, tmp_path, batches, SCHEMA, ad_metrics))) == 2


def test_an_id_is_known_until_the_watermark_passes_its_time_and_no_longer(spark: SparkSession, tmp_path: Path) -> None:
    def at(event_id: str, **after: float) -> Event:
        return Event("ad", NOW + timedelta(**after), 1, 1, 0.1, event_id, f"{event_id} {after}")

    first, repeated = at("first"), at("first", seconds=0)
    nearly = at("nearly", seconds=(LATENESS + SLACK).total_seconds() - 0.001)
    emitted = as_stream(spark, tmp_path / "known", [[first], [nearly], [], [repeated]], SCHEMA, ad_metrics)
    assert max(total_clicks(emitted)) == 2

    passed = at("passed", seconds=(LATENESS + SLACK).total_seconds())
    as_stream(spark, tmp_path / "forgotten", [[first], [passed], []], SCHEMA, ad_metrics)
    checkpoint = str(tmp_path / "forgotten" / "checkpoint")
    ids = spark.read.format("statestore").option("operatorId", 1).load(checkpoint).select("key.identity").collect()
    assert [row["identity"] for row in ids] == ["=passed"]
