"""The number of each user's events in each minute: the plainest windowed count."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Watermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=1)
WATERMARK = timedelta(minutes=10)


def user_clicks(clicks: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Count the events of each user per tumbling window, for output mode update or complete.

    In: `user_id`, `eventtimestamp` (UTC). Every event counts, whatever its `event` is. Events carry no id, so an event
    that is sent twice counts twice. Out: `user_id`, `window_start`, `window_end` (UTC), `clicks` (bigint).
    """
    return (
        clicks.withWatermark("eventtimestamp", interval(watermark))
        .groupBy("user_id", F.window("eventtimestamp", interval(window)).alias("window"))
        .agg(F.count("*").alias("clicks"), *versions.sums(clicks))
        .select(
            "user_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "clicks",
            *versions.names(clicks),
        )
    )
