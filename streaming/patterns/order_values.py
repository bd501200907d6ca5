"""The average order value per hour, exact to 6 decimals for every order of arrival."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import Watermark, Window
from streaming.patterns.event_time import interval
from streaming.patterns.money import currency, micros, rounded_ratio

WINDOW = timedelta(hours=1)
WATERMARK = timedelta(minutes=10)


def order_values(orders: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Count orders and average their amounts per tumbling window, for output mode update.

    In: `amount` (double, currency; a refund is below zero), `timestamp` (UTC). An order sent twice counts twice.

    Out: `window_start`, `window_end` (UTC), `orders` (bigint), `average_order_value` (decimal with 6 places). Each
    amount is rounded to 6 places when it is read, and so is the average; halves go away from zero.
    """
    return (
        orders.withWatermark("timestamp", interval(watermark))
        .withColumn("amount_micros", micros(F.col("amount")))
        .groupBy(F.window("timestamp", interval(window)).alias("window"))
        .agg(F.count("*").alias("orders"), F.sum("amount_micros").alias("total_micros"), *versions.sums(orders))
        .select(
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "orders",
            currency(rounded_ratio(F.col("total_micros"), F.col("orders"))).alias("average_order_value"),
            *versions.names(orders),
        )
    )
