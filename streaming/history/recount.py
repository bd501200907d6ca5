"""Compute a job's windows again, from messages read as a batch: the counts that the stream must have made.

The pattern is the job's own. A batch must do two things that the stream does with its state. It deduplicates: of a
repeated event id the first occurrence counts, which may be before the windows. And it selects late events, which the
stream leaves out, if a backfill counts them.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from common import contracts
from common.bookkeeping.backfills import Backfill, Span, event_times
from common.text.moments import to_millis
from streaming.events.judge import LATE
from streaming.job import Job
from streaming.patterns.ad_metrics import WINDOW_ROW
from streaming.patterns.money import micros
from streaming.patterns.repeated import identified

_HELD = "array<struct<since: bigint, until: bigint, upto: map<string, bigint>>>"
_ORDER = ("arrived", "partition", "offset")


def usable(judged: DataFrame, job: Job, backfills: Iterable[Backfill], *, by_time: bool) -> DataFrame:
    """Turn judged messages into the events that count, and the late ones that one of the backfills counts.

    With `dedupe` each id comes once: the first in the order of arrival, but a late one only if none came in time. With
    `by_time`, as in real-time mode, an event repeats another one with its id only at the same event time
    (streaming.patterns.repeated).

    Out: the contract's fields, `position`, `identity`, and of the message `late`, `partition`, `offset`, `arrived`.
    """
    event = F.struct(
        F.col("event"),
        F.concat_ws(":", "topic", "partition", "offset").alias("position"),
        F.col("outcome").isNotNull().alias("late"),
        F.col("partition"),
        F.col("offset"),
        F.col("timestamp").alias("arrived"),
    )
    # An array and no `where`: Spark would push a condition below the decode (streaming.events.judge.only_dead_letters).
    taken = F.when(F.col("outcome").isNull() | (F.col("outcome") == LATE), F.array(event))
    flat = judged.select(F.inline(taken)).select("event.*", "position", "late", *("partition", "offset", "arrived"))
    events = identified(flat)
    if by_time:
        events = events.withColumn("identity", F.struct("identity", _time_field(job)))
    events = events.where(~F.col("late") | _held(job, backfills))
    if not job.parameters["dedupe"]:
        return events
    same = Window.partitionBy("identity")
    return events.withColumn("nth", F.row_number().over(same.orderBy("late", *_ORDER))).where("nth = 1").drop("nth")


def counting(events: DataFrame, job: Job, span: Span) -> DataFrame:
    """Return the usable events that count in windows of the span: on time, or late with an offset below the limit."""
    return events.where(_inside(job, span.start, span.end) & (~F.col("late") | _below(span.late_upto)))


def windows(events: DataFrame, job: Job, span: Span) -> DataFrame:
    """Return the job's rows for windows that begin in the span, as its sinks take them.

    `events` are the usable ones.
    """
    fields = [field["name"] for field in contracts.latest(job.contract).schema["fields"]]
    once = counting(events, job, span).select(*fields, "position")
    start = F.col("window_start")
    # The events are already deduplicated.
    rows = job.with_parameters(dedupe=False).compute(once)
    return rows.where((F.col("kind") == WINDOW_ROW) & (start >= F.lit(span.start)) & (start < F.lit(span.end)))


def late_by_ad(events: DataFrame, job: Job, span: Span) -> DataFrame:
    """Return sums of late events in the windows of the span: `ad_id`, `events`, `clicks`, `views`, `micros`, `delay`.

    Each event counts once, although it is in several windows. `micros` are millionths of the account's currency,
    `delay` the longest time from an event to its arrival, in milliseconds.
    """
    delay = F.unix_millis("arrived") - F.unix_millis(_time_field(job))
    return (
        counting(events, job, span)
        .where("late")
        .groupBy("ad_id")
        .agg(
            F.count("*").alias("events"),
            F.sum("clicks").alias("clicks"),
            F.sum("views").alias("views"),
            F.sum(micros(F.col("cost"))).alias("micros"),
            F.max(delay).alias("delay"),
        )
    )


def needed_times(
    job: Job, start: datetime, end: datetime, *, ahead: timedelta, state: timedelta
) -> tuple[datetime, datetime]:
    """Return the broker times [since, until) of all on-time messages that matter to windows that begin in [start, end).

    An event may be `ahead` of its arrival, and late by the job's lateness. The state keeps an id for one watermark
    delay (`state`) after its first event, which may also have been ahead. Twice that time is more than enough.
    """
    length, _ = _lengths(job)
    lateness = job.lateness or timedelta(0)
    return start - 2 * (ahead + state), end + length + lateness


def _inside(job: Job, start: datetime, end: datetime) -> Column:
    """Return whether an event is in a window that begins in [start, end)."""
    length, slide = _lengths(job)
    time = F.col(_time_field(job))
    # The newest window of an event begins less than one slide before it, the oldest one window before that.
    return (time >= F.lit(start)) & (time < F.lit(end + length - slide))


def _held(job: Job, backfills: Iterable[Backfill]) -> Column:
    """Return whether a backfill has put the late event into its windows.

    The spans are one literal. As a condition each would be dozens of calls to the JVM, and a level of the expression.
    """
    length, slide = _lengths(job)
    held = [
        {"since": to_millis(each.start), "until": to_millis(each.end), "upto": each.late_upto}
        for each in event_times(backfills, reach=length - slide)
    ]
    time, partition = F.unix_millis(_time_field(job)), F.col("partition").cast("string")

    def holds(span: Column) -> Column:
        inside = (time >= span["since"]) & (time < span["until"])
        return inside & (F.col("offset") < span["upto"][partition])

    return F.exists(F.from_json(F.lit(json.dumps(held)), _HELD), holds)


def _below(offsets: Mapping[int, int]) -> Column:
    below = F.lit(False)
    for partition, upto in offsets.items():
        below |= (F.col("partition") == partition) & (F.col("offset") < upto)
    return below


def _lengths(job: Job) -> tuple[timedelta, timedelta]:
    length, slide = job.parameters["window"], job.parameters["slide"]
    assert isinstance(length, timedelta) and isinstance(slide, timedelta)  # noqa: S101, PT018 - what --window takes
    return length, slide


def _time_field(job: Job) -> str:
    return contracts.latest(job.contract).time_field
