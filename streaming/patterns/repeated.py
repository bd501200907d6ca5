"""Repeated events: the same `event_id` counts once."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.event_time import DELAY_KEY, interval


def watermarked(events: DataFrame, time: str, delay: timedelta, *, dedupe: bool) -> DataFrame:
    """Return the events with a watermark on `time`; with `dedupe` each id once, in a stream within that watermark.

    A repetition has the time of the first event, and Spark drops an event older than the watermark before it looks up
    the id. So the plan keeps an id until the watermark has passed the event's time. Spark's own operator would keep it
    twice as long, and check all ids in each batch.

    With `dedupe` the column `identity` is added below the watermark. Spark computes every column that passes a
    watermark, and only events without an id need `position`.
    """
    if not dedupe:
        return events.withWatermark(time, interval(delay))
    keyed = identified(events).withWatermark(time, interval(delay))
    if events.isStreaming and versions.versioned(events):
        # Real-time mode supports only this one. A repetition has the time of the first event, so both find the same
        # duplicates.
        return keyed.dropDuplicates(["identity", time])
    if events.isStreaming:
        return keyed.withMetadata(time, {DELAY_KEY: 0}).dropDuplicatesWithinWatermark(["identity"])
    return keyed.dropDuplicates(["identity"])


def identified(events: DataFrame) -> DataFrame:
    """Add `identity`, which only copies of the same event share.

    In: `event_id` (null or empty if there is none) and `position`, unique per message. All nulls would be one id, so an
    event without id uses its position. Ids get the prefix `=`. No topic or file name starts with `=`, so an id cannot
    equal a position.
    """
    known = F.when(F.col("event_id") != "", F.concat(F.lit("="), "event_id"))
    return events.withColumn("identity", F.coalesce(known, F.col("position")))
