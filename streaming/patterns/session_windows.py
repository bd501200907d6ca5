"""Sessions of users by Spark's own session window, for output mode append.

Spark opens a window [event, event + gap) for every event and merges windows of a user that touch or overlap. So two
events exactly one gap apart are one session. The merged window ends one gap after the last event, but a session ends at
its last event.
"""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.patterns.arguments import Gap, StateWatermark
from streaming.patterns.event_time import interval

GAP = timedelta(seconds=30)
WATERMARK = timedelta(minutes=10)


def session_windows(clicks: DataFrame, *, gap: Gap = GAP, watermark: StateWatermark = WATERMARK) -> DataFrame:
    """Merge the events of each user that are no more than `gap` apart into sessions.

    In: `user_id`, `eventtimestamp` (UTC). Out: `user_id`, `session_start`, `session_end` (UTC, its first and its last
    event), `duration_seconds` (double), `events` (bigint). Spark emits a session once, when the watermark has passed
    its last event by `gap`.
    """
    return (
        clicks.withWatermark("eventtimestamp", interval(watermark))
        .groupBy("user_id", F.session_window("eventtimestamp", interval(gap)).alias("session"))
        .agg(F.max("eventtimestamp").alias("session_end"), F.count("*").alias("events"))
        .withColumn("session_start", F.col("session.start"))
        .withColumn("duration_seconds", _seconds_between(F.col("session_start"), F.col("session_end")))
        .select("user_id", "session_start", "session_end", "duration_seconds", "events")
    )


def _seconds_between(start: Column, end: Column) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / F.lit(1e6)
