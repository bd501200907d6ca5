"""Late events are counted one by one and by window, whatever Spark's own metric says."""

import math
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

import streaming.lateness.counts
from common.lateness.delays import SHARES, percentile, rounded_up
from streaming.events.decode import decode
from streaming.events.judge import LATE, judge
from streaming.job import Job
from streaming.jobs import JOBS
from streaming.lateness.counts import (
    Late,
    Pairs,
    by_windows,
    count_late,
    exact,
    observed_pairs,
    pair,
    pairs_again,
    pairs_of,
)
from tests.unit.streaming.wire_messages import NOW, V2, WRITERS, encoded, kafka_rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAIN_CLICKS = JOBS["ad-clicks"].with_parameters(dedupe=False)


def late(spark: SparkSession, job: Job, seconds: list[int], watermark: datetime, **columns: str) -> Late:
    """Count late events. `columns` are constant, except `time`: it names the column of the event time."""
    time = columns.pop("time")
    rows = [(START + timedelta(seconds=each), str(number)) for number, each in enumerate(seconds)]
    events = spark.createDataFrame(rows, f"{time} timestamp, position string")
    return count_late(events, job, int(watermark.timestamp() * 1_000))


def test_an_event_is_late_for_the_windows_that_the_watermark_has_closed(spark: SparkSession) -> None:
    found = late(spark, JOBS["user-clicks"], [5, 5, 30, 60, 119, 120], START + 2 * MINUTE, time="eventtimestamp")
    assert (found.events, found.by_window) == (5, {START: 3, START + MINUTE: 2})
    # The watermark of 10 minutes lacked a minute for the first window, and less than a second for the other.
    assert found.windows == {START: {670: 3}, START + MINUTE: {610: 2}}


def test_an_event_in_several_windows_is_one_event(spark: SparkSession) -> None:
    found = late(spark, PLAIN_CLICKS, [20, 31], START + timedelta(seconds=35), time="timestamp")
    # 20 s is in [0, 30), [10, 40) and [20, 50). Only the first is closed. 31 s is in no closed window.
    assert (found.events, found.by_window) == (1, {START: 1})


def test_an_event_is_late_for_a_session_when_its_gap_is_over(spark: SparkSession) -> None:
    found = late(spark, JOBS["session-windows"], [0, 10, 31], START + timedelta(seconds=40), time="eventtimestamp")
    assert found == Late(2, {START: {610: 1, 620: 1}}, {START: 2})


def test_where_events_are_deduplicated_an_event_behind_the_watermark_is_late_for_all_its_windows(
    spark: SparkSession,
) -> None:
    found = late(spark, JOBS["ad-clicks"], [31, 36], START + timedelta(seconds=35), time="timestamp")
    starts = [START + timedelta(seconds=each) for each in (10, 20, 30)]
    assert found == Late(1, {start: {65: 1} for start in starts}, {starts[-1]: 1, **dict.fromkeys(starts[:2], 0)})


LATENESS = timedelta(minutes=10)
AD_METRICS = JOBS["ad-metrics"]


@pytest.fixture(scope="module")
def delays() -> list[timedelta]:
    """Delays from event time to arrival: on time, a little late, and from long ago."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    usual = [timedelta(milliseconds=rng.randrange(5 * 3_600_000)) for _ in range(400)]
    return [*usual, LATENESS, LATENESS + timedelta(milliseconds=1), timedelta(days=3_650), NOW - EPOCH]


def judged(spark: SparkSession, delays: list[timedelta], lateness: timedelta = LATENESS) -> DataFrame:
    values = [encoded(V2, timestamp=NOW - delay) for delay in delays]
    return judge(decode(kafka_rows(spark, [*values, b"broken"]), WRITERS, V2), V2, lateness=lateness)


def observed(messages: DataFrame) -> tuple[int, Pairs]:
    watch = Observation()
    late = F.count_if(F.col("outcome") == LATE).alias("late")
    pairs = observed_pairs(pair(AD_METRICS)).alias("pairs")
    messages.observe(watch, late, pairs).write.format("noop").mode("append").save()
    return watch.get["late"], pairs_of([row.asDict() for row in watch.get["pairs"]])


def oracle(delays: list[timedelta]) -> dict[datetime, Counter[int]]:
    """Count the late events one by one: window -> rounded delay -> events."""
    found: dict[datetime, Counter[int]] = defaultdict(Counter)
    for delay in delays:
        if delay > LATENESS:
            time = NOW - delay
            newest = EPOCH + (time - EPOCH) // timedelta(seconds=30) * timedelta(seconds=30)
            for start in (newest, newest - timedelta(seconds=30)):
                assert start <= time < start + MINUTE
                found[start][rounded_up(math.ceil(delay.total_seconds()))] += 1
    return found


def test_where_the_job_decides_late_events_are_counted_on_the_way(spark: SparkSession, delays: list[timedelta]) -> None:
    events, pairs = observed(judged(spark, delays))
    assert exact(pairs, events)
    found = by_windows(pairs, AD_METRICS)
    assert found.windows == oracle(delays)
    assert found.events == events == sum(delay > LATENESS for delay in delays)
    assert sum(found.delays.values()) == 2 * events


def test_more_kinds_of_late_events_than_can_be_tracked_are_counted_from_the_batch_itself(
    spark: SparkSession, delays: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming.lateness.counts, "MOST_DIFFERENT", 50)
    events, pairs = observed(judged(spark, delays))
    assert not exact(pairs, events)
    assert not exact({}, streaming.lateness.counts.MOST_TRACKED + 1)
    assert by_windows(pairs_again(judged(spark, delays), AD_METRICS), AD_METRICS).windows == oracle(delays)


def test_without_late_events_nothing_is_found(spark: SparkSession) -> None:
    events, pairs = observed(judged(spark, [LATENESS, MINUTE]))
    assert (events, dict(pairs)) == (0, {})
    assert by_windows(pairs, AD_METRICS) == Late()


def test_a_job_with_the_delay_that_is_told_keeps_that_share(spark: SparkSession, delays: list[timedelta]) -> None:
    events, pairs = observed(judged(spark, delays))
    for per_mille in SHARES:
        longer = timedelta(seconds=percentile(by_windows(pairs, AD_METRICS).delays, per_mille))
        still_late, _ = observed(judged(spark, delays, longer))
        assert events - still_late >= events * per_mille / 1_000
        shorter, _ = observed(judged(spark, delays, longer / 1.1 - timedelta(seconds=1)))
        assert events - shorter < events * per_mille / 1_000 + 1
