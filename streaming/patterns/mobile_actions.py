"""How often users opened and closed an app in each 10 minutes."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import UpdateWatermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=10)
WATERMARK = timedelta(minutes=10)


def mobile_actions(events: DataFrame, *, window: Window = WINDOW, watermark: UpdateWatermark = WATERMARK) -> DataFrame:
    """Count each action per tumbling window, for output mode complete or update.

    In: `action`, `ts` (UTC). Events carry no id of their own (`id` is the device): one that is sent twice counts twice.

    Out: `action`, `window_start`, `window_end` (UTC), `actions` (bigint). In mode complete the watermark does nothing:
    every window stays in the state and no event is late. In mode update it removes old windows and drops late events.
    """
    return (
        events.withWatermark("ts", interval(watermark))
        .groupBy("action", F.window("ts", interval(window)).alias("window"))
        .agg(F.count("*").alias("actions"), *versions.sums(events))
        .select(
            "action",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "actions",
            *versions.names(events),
        )
    )
