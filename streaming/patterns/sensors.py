"""Temperatures per sensor: an average every 5 minutes, and a moving average every minute.

Both are for output mode append: Spark emits a window once, when the watermark has passed its end, and never changes it.
That suits a table of files, where each change means new files.
"""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns.arguments import Slide, Watermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=5)
SLIDE = timedelta(minutes=1)
WATERMARK = timedelta(seconds=30)


def sensor_averages(readings: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Average, count and range of each sensor's temperatures per tumbling window.

    In: `sensor_id`, `temperature` (double, degrees Celsius), `timestamp` (UTC).

    Out: `sensor_id`, `window_start`, `window_end` (UTC), `avg_temperature` (double), `reading_count` (bigint),
    `min_temperature`, `max_temperature` (double).
    """
    return (
        readings.withWatermark("timestamp", interval(watermark))
        .groupBy("sensor_id", F.window("timestamp", interval(window)).alias("window"))
        .agg(
            F.avg("temperature").alias("avg_temperature"),
            F.count("*").alias("reading_count"),
            F.min("temperature").alias("min_temperature"),
            F.max("temperature").alias("max_temperature"),
        )
        .select(
            "sensor_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "avg_temperature",
            "reading_count",
            "min_temperature",
            "max_temperature",
        )
    )


def sensor_moving_averages(
    readings: DataFrame, *, window: Window = WINDOW, slide: Slide = SLIDE, watermark: Watermark = WATERMARK
) -> DataFrame:
    """Average and count of each sensor's temperatures per sliding window.

    In: as for `sensor_averages`. Out: `sensor_id`, `window_start`, `window_end` (UTC), `avg_temperature` (double),
    `reading_count` (bigint). A reading counts in each of its windows, five by default: do not add up their counts.
    """
    return (
        readings.withWatermark("timestamp", interval(watermark))
        .groupBy("sensor_id", F.window("timestamp", interval(window), interval(slide)).alias("window"))
        .agg(F.avg("temperature").alias("avg_temperature"), F.count("*").alias("reading_count"))
        .select(
            "sensor_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "avg_temperature",
            "reading_count",
        )
    )
