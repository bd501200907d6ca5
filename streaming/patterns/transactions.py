"""The amount that each user spent: for all time, and per 3 minutes, for output mode complete or update.

In complete mode every batch emits the whole result again. Spark keeps the whole result as state for ever and evicts
nothing, not even with a watermark. Use this mode for results that stay small.
"""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns import versions
from streaming.patterns.arguments import UpdateWatermark, Window
from streaming.patterns.event_time import interval

WINDOW = timedelta(minutes=3)
WATERMARK = timedelta(minutes=10)


def transaction_totals(transactions: DataFrame) -> DataFrame:
    """Add up the amounts of each user.

    In: `user_id`, `amount` (int, whole units of currency). Transactions here carry no id: one that is sent twice counts
    twice. Out: `user_id`, `total` (bigint).
    """
    return transactions.groupBy("user_id").agg(F.sum("amount").alias("total"), *versions.sums(transactions))


def transaction_windows(
    transactions: DataFrame, *, window: Window = WINDOW, watermark: UpdateWatermark = WATERMARK
) -> DataFrame:
    """Add up the amounts of each user per tumbling window; a user's windows add up to the user's total.

    In: as for `transaction_totals`, and `timestamp` (UTC). Out: `user_id`, `window_start`, `window_end` (UTC), `total`
    (bigint). The watermark matters in output mode update only: there it removes old windows and drops late rows.
    """
    return (
        transactions.withWatermark("timestamp", interval(watermark))
        .groupBy("user_id", F.window("timestamp", interval(window)).alias("window"))
        .agg(F.sum("amount").alias("total"), *versions.sums(transactions))
        .select(
            "user_id",
            F.col("window.start").alias("window_start"),
            F.col("window.end").alias("window_end"),
            "total",
            *versions.names(transactions),
        )
    )
