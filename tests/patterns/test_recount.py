"""A batch recount of windows equals the oracle's, with late and repeated events, and whatever the job has counted."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from adstream.verify.judge import Judged
from adstream.verify.oracle import Sums, expect
from common.bookkeeping.backfills import Backfill, Span, spans
from streaming.history import recount
from streaming.jobs import find
from streaming.patterns.ad_metrics import SLIDE, WINDOW
from tests.patterns.ad_events import NOW, SCHEMA

JOB = find("ad-metrics")
EVENT = T.StructType([each for each in SCHEMA.fields if each.name != "position"])
JUDGED = T.StructType(
    [
        T.StructField("event", EVENT),
        T.StructField("topic", T.StringType()),
        T.StructField("partition", T.IntegerType()),
        T.StructField("offset", T.LongType()),
        T.StructField("timestamp", T.TimestampType()),
        T.StructField("outcome", T.StringType()),
    ]
)


def messages(rng: random.Random, count: int) -> list[Judged]:
    """Return messages of the hour before NOW, in two partitions.

    One in five is late, and some are dead. One in ten repeats an earlier one, half of these with another time.
    """
    found: list[Judged] = []
    for number in range(count):
        outcome = rng.choices(["counted", "late", "dead"], [75, 20, 5])[0]
        time = round(NOW.timestamp() * 1_000) - rng.randrange(3_600_000)
        ids = rng.choice([None, f"id-{number}"])
        event = Judged(0, number, outcome, f"ad-{rng.randrange(3)}", time, 1, 2, rng.randrange(3_000_000), ids)
        known = [old for old in found if old.event_id and old.outcome != "dead"]
        if known and rng.random() < 0.1:
            old = rng.choice(known)
            event = old._replace(offset=number, outcome=outcome, timestamp=rng.choice([old.timestamp, time]))
        # The key decides the partition, so an event and its repetitions are in the same one.
        partition = int(event.ad_id[-1]) % 2
        found.append(event._replace(partition=partition))
    return found


def judged(spark: SparkSession, found: list[Judged]) -> DataFrame:
    arrival = NOW + timedelta(hours=1)
    rows = [
        (
            (
                each.ad_id,
                datetime.fromtimestamp(each.timestamp / 1_000, UTC),
                each.clicks,
                each.views,
                each.cost_micros / 1_000_000,
                each.event_id,
            ),
            "ads",
            each.partition,
            each.offset,
            arrival + timedelta(milliseconds=each.offset),
            None if each.outcome == "counted" else each.outcome,
        )
        for each in found
    ]
    return spark.createDataFrame(rows, JUDGED)


def recounted(events: DataFrame, pieces: Iterable[Span]) -> dict[tuple[str, datetime], Sums]:
    found = {}
    for span in pieces:
        for row in recount.windows(events, JOB, span).toArrow().to_pylist():
            key = row["ad_id"], row["window_start"].astimezone(UTC)
            assert key not in found
            found[key] = Sums(row["total_clicks"], row["total_views"], row["total_cost"], row["avg_cost_per_view"])
    return found


@pytest.mark.parametrize("by_time", [False, True], ids=["micro-batch", "real time"])
def test_each_piece_equals_the_oracle(spark: SparkSession, *, by_time: bool) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    found = messages(rng, 800)
    start, end = NOW - timedelta(minutes=50), NOW - timedelta(minutes=10)

    def before(first: int, last: int, upto: dict[int, int]) -> Backfill:
        since, until = (start + timedelta(minutes=each) for each in (first, last))
        return Backfill(first, since, until, True, upto, 0, 0, 0, NOW)

    done = [before(-10, 10, {0: 700, 1: 300}), before(5, 20, {0: 400, 1: 800})]
    # Copies that count before the range do not count in it.
    done += [
        before(first, rng.randrange(first + 1, 1), {0: rng.randrange(800), 1: rng.randrange(800)})
        for first in range(-10, 0)
    ]
    must = expect(found, window=WINDOW, slide=SLIDE, dedupe=True, by_time=by_time, backfills=done)
    assert 10 < must.backfilled < must.fates["late"]
    events = recount.usable(judged(spark, found), JOB, done, by_time=by_time).persist()
    has = recounted(events, spans(start, end, done, longest=timedelta(minutes=30)))
    events.unpersist()
    assert has == {key: sums for key, sums in must.windows.items() if start <= key[1] < end}


@pytest.mark.parametrize("by_time", [False, True], ids=["micro-batch", "real time"])
def test_of_late_copies_in_two_pieces_one_counts_unless_the_time_matters(spark: SparkSession, *, by_time: bool) -> None:
    start = NOW - timedelta(hours=1)
    times = [round((NOW - timedelta(minutes=each)).timestamp() * 1_000) for each in (45, 15)]
    found = [Judged(0, number, "late", "ad", time, 1, 2, 10, "id") for number, time in enumerate(times)]
    done = [Backfill(0, start, NOW, True, {0: 2}, 0, 0, 0, NOW)]
    must = expect(found, window=WINDOW, slide=SLIDE, dedupe=True, by_time=by_time, backfills=done)
    assert must.backfilled == (2 if by_time else 1)
    events = recount.usable(judged(spark, found), JOB, done, by_time=by_time)
    assert recounted(events, spans(start, NOW, done, longest=timedelta(minutes=30))) == must.windows


def test_the_condition_does_not_grow_with_the_corrections(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    time = round((NOW - timedelta(minutes=30)).timestamp() * 1_000)
    found = [Judged(0, number, "late", "ad", time, 1, 2, 10, None) for number in range(3)]
    messages = judged(spark, found)
    hours = [NOW - timedelta(hours=each) for each in range(720, 0, -1)]
    hourly = [
        Backfill(n, each, each + timedelta(hours=1), True, dict.fromkeys(range(12), n), 0, 0, 0, NOW)
        for n, each in enumerate(hours)
    ]
    hourly[-1] = Backfill(720, hours[-1], NOW, True, {0: 2}, 0, 0, 0, NOW)
    assert recount.usable(messages, JOB, hourly, by_time=False).count() == 2

    client = spark.sparkContext._gateway._gateway_client
    send: Callable[..., str] = client.send_command
    calls: list[str] = []

    def counted(command: str, *rest: object, **given: object) -> str:
        if not command.startswith("m"):  # which frees what Python has forgotten, at any time
            calls.append(command)
        return send(command, *rest, **given)

    def needed(corrections: list[Backfill]) -> int:
        calls.clear()
        recount.usable(messages, JOB, corrections, by_time=False)
        return len(calls)

    monkeypatch.setattr(client, "send_command", counted)
    assert needed(hourly) == needed(hourly[-1:]) > 0


def test_without_dedupe_every_event_counts(spark: SparkSession) -> None:
    job = JOB.with_parameters(dedupe=False)
    time = round((NOW - timedelta(minutes=30)).timestamp() * 1_000)
    found = [Judged(0, n, outcome, "ad", time, 1, 1, 10, "same") for n, outcome in enumerate(["counted", "late"] * 2)]
    events = recount.usable(judged(spark, found), job, [], by_time=False)
    [span] = spans(NOW - timedelta(hours=1), NOW, [], longest=timedelta(hours=1))
    assert {row["total_clicks"] for row in recount.windows(events, job, span).collect()} == {2}
