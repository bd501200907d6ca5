"""Two more columns that say which state of a row is newer, if the events ask for them.

A query in real-time mode emits a row with each event, and after a crash once more from an older state. So each row
carries its number of events, and the newest of their times. Events ask by a column `newest_event`, which the pipeline
adds in that mode only. Other queries do not need two more sums, and their state is made without them.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

VERSION, NEWEST = "version", "newest_event"


def versioned(rows: DataFrame) -> bool:
    """Return whether these events ask for versions, or these rows carry them."""
    return NEWEST in rows.columns


def sums(events: DataFrame) -> list[Column]:
    """Aggregates for the events' group-by: `version` (bigint) and `newest_event` (timestamp, UTC), or none."""
    if not versioned(events):
        return []
    return [F.count(F.lit(1)).alias(VERSION), F.max(NEWEST).alias(NEWEST)]


def names(rows: DataFrame) -> list[str]:
    """The columns that these aggregates make."""
    return [VERSION, NEWEST] if versioned(rows) else []
