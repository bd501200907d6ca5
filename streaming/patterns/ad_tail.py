"""The ad events themselves, as they arrive: what to look at when the numbers downstream look wrong."""

from pyspark.sql import DataFrame


def ad_tail(events: DataFrame) -> DataFrame:
    """In: the events of `ads_data`. Out: `timestamp` (UTC), `ad_id`, `clicks`, `views`, `cost`, `event_id`."""
    return events.select("timestamp", "ad_id", "clicks", "views", "cost", "event_id")
