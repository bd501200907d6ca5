"""The best-selling products per 30 minutes: the stream keeps totals, and the sink ranks a whole window.

A micro-batch in output mode update has only the products with a total that has just changed. To rank only these
products is the usual mistake: it leaves out a product that sold a lot before and nothing now. So the pattern returns
totals. The sink stores them, reads the changed windows back whole, and ranks them by `ranked`.
"""

import heapq
from collections.abc import Iterable
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns.arguments import Watermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=30)
WATERMARK = timedelta(minutes=10)
TOP = 3


def top_products(sales: DataFrame, *, window: Window = WINDOW, watermark: Watermark = WATERMARK) -> DataFrame:
    """Add up the sales of each product per tumbling window, for output mode update.

    In: `product_id`, `sales_amount` (int, whole units of currency), `event_time` (UTC). Sales carry no id: one that is
    sent twice counts twice. Out: `window_start`, `window_end` (UTC), `product_id`, `total_sales` (bigint).
    """
    return (
        sales.withWatermark("event_time", interval(watermark))
        .groupBy(F.window("event_time", interval(window)).alias("window"), "product_id")
        .agg(F.sum("sales_amount").alias("total_sales"))
        .select(
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "product_id",
            "total_sales",
        )
    )


def ranked(totals: Iterable[tuple[str, int]], top: int = TOP) -> list[tuple[int, str, int]]:
    """Return the best of all (product_id, total) of one window, as (rank from 1, product_id, total).

    Equal totals are ordered by product_id, so that the same totals always give the same ranks.
    """
    best = heapq.nsmallest(top, totals, key=lambda each: (-each[1], each[0]))
    return [(rank, product, total) for rank, (product, total) in enumerate(best, start=1)]
