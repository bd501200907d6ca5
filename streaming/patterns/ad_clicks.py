"""Clicks per ad in short windows that overlap: 30 seconds long, a new one every 10 seconds."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Dedupe, IdsWatermark, Slide, Window
from streaming.patterns.event_time import interval
from streaming.patterns.repeated import watermarked

WINDOW = timedelta(seconds=30)
SLIDE = timedelta(seconds=10)
WATERMARK = timedelta(minutes=1)


def ad_clicks(
    events: DataFrame,
    *,
    window: Window = WINDOW,
    slide: Slide = SLIDE,
    watermark: IdsWatermark = WATERMARK,
    dedupe: Dedupe = True,
) -> DataFrame:
    """Add up the clicks of each ad per sliding window, for output mode update.

    In: `ad_id`, `timestamp` (UTC), `clicks`, `event_id` (null, or counted once within the watermark), `position`.

    Out: `ad_id`, `window_start`, `window_end` (UTC), `total_clicks` (bigint).
    """
    return (
        events.transform(watermarked, "timestamp", watermark, dedupe=dedupe)
        .groupBy("ad_id", F.window("timestamp", interval(window), interval(slide)).alias("window"))
        .agg(F.sum("clicks").alias("total_clicks"), *versions.sums(events))
        .select(
            "ad_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "total_clicks",
            *versions.names(events),
        )
    )
