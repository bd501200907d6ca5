"""The number of logins in each 5 minutes, over all users."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Watermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=5)
WATERMARK = timedelta(minutes=10)


def logins(events: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Count logins per tumbling window, for output mode update.

    In: `timestamp` (UTC). Logins carry no id: one that is sent twice counts twice.

    Out: `window_start`, `window_end` (UTC), `logins` (bigint). A window without logins has no row.
    """
    return (
        events.withWatermark("timestamp", interval(watermark))
        .groupBy(F.window("timestamp", interval(window)).alias("window"))
        .agg(F.count("*").alias("logins"), *versions.sums(events))
        .select(
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "logins",
            *versions.names(events),
        )
    )
