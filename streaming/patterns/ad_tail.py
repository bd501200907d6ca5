"""The ad events as they arrive: look here first when numbers downstream look wrong."""

from pyspark.sql import DataFrame


def ad_tail(events: DataFrame) -> DataFrame:
    """Select the columns to print.

    In: the events of `ads_data`. Out: `timestamp` (UTC), `ad_id`, `clicks`, `views`, `cost`, `event_id`.
    """
    return events.select("timestamp", "ad_id", "clicks", "views", "cost", "event_id")
