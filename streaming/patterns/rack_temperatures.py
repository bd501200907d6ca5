"""Temperatures of a server room: the average of each rack, and of all racks together, in one query."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Slide, UpdateWatermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=10)
SLIDE = timedelta(minutes=5)
WATERMARK = timedelta(minutes=10)

# The value of `rack` for the average of all racks.
ALL_RACKS = "all"


def rack_temperatures(
    readings: DataFrame, *, window: Window = WINDOW, slide: Slide = SLIDE, watermark: UpdateWatermark = WATERMARK
) -> DataFrame:
    """Average the temperatures per sliding window, for output mode complete or update.

    In: `rack`, `temperature` (float, degrees Fahrenheit), `ts` (UTC).

    Out: `rack` (`all` for all racks together), `window_start`, `window_end` (UTC), `avg_temperature` (double),
    `readings` (bigint). The average over all is of their readings: a rack that reports more often weighs more. A rack
    that is itself called `all` counts there and has no row of its own.
    """
    # The average of averages is wrong if racks report at different rates, and a second query would read everything
    # twice. So each reading counts twice in one group-by: for its rack, and for all.
    counted_for = F.array_distinct(F.array(F.col("rack"), F.lit(ALL_RACKS)))
    return (
        readings.withWatermark("ts", interval(watermark))
        .withColumn("rack", F.explode(counted_for))
        .groupBy("rack", F.window("ts", interval(window), interval(slide)).alias("window"))
        # A double holds the sum of floats of like size without rounding, so the order of arrival changes nothing.
        .agg(F.avg("temperature").alias("avg_temperature"), F.count("*").alias("readings"), *versions.sums(readings))
        .select(
            "rack",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "avg_temperature",
            "readings",
            *versions.names(readings),
        )
    )
