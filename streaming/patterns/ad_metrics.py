"""Clicks, views and cost per ad: 1-minute windows sliding every 30 seconds, and running totals, in one pass."""

from datetime import timedelta
from typing import Annotated

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Dedupe, Slide, Window
from streaming.patterns.buckets import in_buckets, is_window
from streaming.patterns.money import currency, micros, rounded_ratio
from streaming.patterns.repeated import watermarked

WINDOW = timedelta(minutes=1)
SLIDE = timedelta(seconds=30)
LATENESS = timedelta(minutes=10)

# Spark's own watermark only evicts state: it is looser than the lateness rule and must never drop an event. It allows
# an event one minute ahead of its arrival, and one partition read this much behind another in event time.
SLACK = timedelta(minutes=1) + timedelta(minutes=10)

# The kinds of row that come out.
WINDOW_ROW = "window"
TOTAL_ROW = "total"


def ad_metrics(
    events: DataFrame,
    *,
    window: Window = WINDOW,
    slide: Slide = SLIDE,
    lateness: Annotated[timedelta, "How late an event may arrive and still count."] = LATENESS,
    dedupe: Dedupe = True,
) -> DataFrame:
    """Aggregate ad events. Events later than `lateness` are already taken out (streaming.events.judge).

    In: `ad_id`, `timestamp` (UTC), `clicks`, `views`, `cost` (double, in the account's currency), `event_id` (null, or
    counted once within the watermark), `position` (unique per message).

    Out: `kind` (`window` or `total`), `ad_id`, `window_start`, `window_end` (null for totals), `total_clicks`,
    `total_views` (bigint), `total_cost` and `avg_cost_per_view` (decimal with 6 places; the average is rounded half-up,
    and null without views).
    """
    watermark = lateness + SLACK
    return (
        events.transform(watermarked, "timestamp", watermark, dedupe=dedupe)
        .transform(_summed, window, slide, watermark)
        .transform(_presented)
    )


def _summed(events: DataFrame, window: timedelta, slide: timedelta, watermark: timedelta) -> DataFrame:
    return (
        events.withColumn("cost_micros", micros(F.col("cost")))
        .transform(in_buckets, F.col("timestamp"), window=window, slide=slide, watermark=watermark)
        .groupBy("bucket", "ad_id")
        .agg(
            F.sum(F.col("clicks").cast("bigint")).alias("total_clicks"),
            F.sum(F.col("views").cast("bigint")).alias("total_views"),
            F.sum("cost_micros").alias("cost_micros"),
            *versions.sums(events),
        )
    )


def _presented(sums: DataFrame) -> DataFrame:
    bucket = F.col("bucket")
    return sums.select(
        F.when(is_window(bucket), WINDOW_ROW).otherwise(TOTAL_ROW).alias("kind"),
        "ad_id",
        _of_window(bucket["start"]).alias("window_start"),
        _of_window(bucket["end"]).alias("window_end"),
        "total_clicks",
        "total_views",
        currency(F.col("cost_micros")).alias("total_cost"),
        currency(rounded_ratio(F.col("cost_micros"), F.col("total_views"))).alias("avg_cost_per_view"),
        *versions.names(sums),
    )


def _of_window(time: Column) -> Column:
    return F.when(is_window(F.col("bucket")), time)
