"""Repeated events: the same `event_id` counts once."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def once(events: DataFrame) -> DataFrame:
    """Drop repeated event ids, in a stream within the watermark. Adds `identity`."""
    keyed = identified(events)
    if events.isStreaming:
        return keyed.dropDuplicatesWithinWatermark(["identity"])
    return keyed.dropDuplicates(["identity"])


def identified(events: DataFrame) -> DataFrame:
    """Add `identity`, which only a repeated event shares with another.

    In: `event_id` (null or empty where there is none) and `position`, unique per message. Nulls would all count as one
    id, so an event without id goes by its position. An id that reads like a position is told from one by its `=`, with
    which no topic and no file begins.
    """
    known = F.when(F.col("event_id") != "", F.concat(F.lit("="), "event_id"))
    return events.withColumn("identity", F.coalesce(known, F.col("position")))


def as_they_are(events: DataFrame) -> DataFrame:
    """All events, repeated ones too."""
    return events
