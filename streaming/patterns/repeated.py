"""Repeated events: the same `event_id` counts once."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.event_time import DELAY_KEY, interval


def watermarked(events: DataFrame, time: str, delay: timedelta, *, dedupe: bool) -> DataFrame:
    """The events with a watermark on `time`; with `dedupe` each id once, in a stream within that watermark.

    A repetition carries the time of the first, and what is older than the watermark is dropped without being asked for
    its id. So an id is kept until the watermark has passed its time; Spark would keep it for as long again, and goes
    through all ids in each batch.

    Then `identity` is added, and below the watermark: Spark leaves no column uncomputed that has to pass one, and
    `position` is only needed where an event has no id.
    """
    if not dedupe:
        return events.withWatermark(time, interval(delay))
    keyed = identified(events).withWatermark(time, interval(delay))
    if events.isStreaming and versions.versioned(events):
        # Real-time mode has no other. A repetition carries the time of the first, so this finds the same ones.
        return keyed.dropDuplicates(["identity", time])
    if events.isStreaming:
        return keyed.withMetadata(time, {DELAY_KEY: 0}).dropDuplicatesWithinWatermark(["identity"])
    return keyed.dropDuplicates(["identity"])


def identified(events: DataFrame) -> DataFrame:
    """Add `identity`, which only a repeated event shares with another.

    In: `event_id` (null or empty where there is none) and `position`, unique per message. Nulls would all count as one
    id, so an event without id goes by its position. An id that reads like a position is told from one by its `=`, with
    which no topic and no file begins.
    """
    known = F.when(F.col("event_id") != "", F.concat(F.lit("="), "event_id"))
    return events.withColumn("identity", F.coalesce(known, F.col("position")))
