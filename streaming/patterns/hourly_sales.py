"""Sales of each product per hour, as a dashboard shows them."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Watermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(hours=1)
WATERMARK = timedelta(minutes=10)


def hourly_sales(sales: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Add up the sales of each product per tumbling window, for output mode update.

    In: `product_id`, `sales_amount` (int, whole units of currency), `event_time` (UTC). Sales carry no id: one that is
    sent twice counts twice. Out: `product_id`, `window_start`, `window_end` (UTC), `total_sales` (bigint).
    """
    return (
        sales.withWatermark("event_time", interval(watermark))
        .groupBy("product_id", F.window("event_time", interval(window)).alias("window"))
        .agg(F.sum("sales_amount").alias("total_sales"), *versions.sums(sales))
        .select(
            "product_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "total_sales",
            *versions.names(sales),
        )
    )
