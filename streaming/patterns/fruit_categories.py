"""Events enriched from a small table that does not stream: the classic lookup, for output mode append."""

from datetime import timedelta
from typing import Annotated

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns.event_time import interval

WATERMARK = timedelta(minutes=10)


def fruit_categories(
    events: DataFrame,
    categories: DataFrame,
    *,
    watermark: Annotated[
        timedelta, "Has no effect on a join with a static table. It is for aggregates that you add."
    ] = WATERMARK,
) -> DataFrame:
    """Give each fruit its category. A fruit without a category gives no row.

    In: `events` with `id` (int), `value` (string, the fruit's name), `timestamp` (UTC); `categories` with `id` (int),
    `category` (string). For an id with two categories the alphabetically first one counts, so that no event gives two
    rows. Out: `id`, `value`, `category`, `timestamp`.

    The join keeps no state, so the watermark drops nothing here: it is for aggregates that follow.
    """
    one_each = categories.where(F.col("category").isNotNull()).groupBy("id").agg(F.min("category").alias("category"))
    # Broadcast: the small table goes to the events, not the events through a shuffle to the small table.
    return (
        events.withWatermark("timestamp", interval(watermark))
        .join(F.broadcast(one_each), "id")
        .select("id", "value", "category", "timestamp")
    )
