"""One alert for each window with too many errors, by arbitrary state that remembers that it was raised.

An aggregation would give a new count for every batch, and each above the threshold would be one more alert. Spark
refuses an aggregation followed by arbitrary state in update mode, so one operator, keyed by window, does both.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, LongType, StructType

from streaming.patterns.arguments import StateWatermark, Window
from streaming.patterns.buckets import microseconds, sliding_starts
from streaming.patterns.event_time import interval
from streaming.patterns.keyed_state import EventRow, KeyRules, Taken, apply_rules

WINDOW = timedelta(minutes=15)
THRESHOLD = 100
WATERMARK = timedelta(minutes=10)


class Errors(NamedTuple):
    """The end of a window, how many errors it has, and whether its alert was raised."""

    end: int
    errors: int
    raised: bool


class ErrorAlerts(KeyRules[Errors]):
    """The key is a window; rows are (event time,). An alert has no columns beside its key, so it is always the same."""

    lasts = "until the watermark passes the window's end"
    remembered = Errors
    stored = StructType().add("end", LongType()).add("errors", LongType()).add("raised", BooleanType())
    emitted = StructType()

    def __init__(self, window: int, threshold: int) -> None:
        self._window = window
        self._threshold = threshold

    def take(self, state: Errors | None, rows: Sequence[EventRow]) -> Taken[Errors]:
        at = rows[0][0]
        end, errors, raised = state or Errors(at - at % self._window + self._window, 0, raised=False)
        errors += len(rows)
        alert = errors > self._threshold and not raised
        return Taken(Errors(end, errors, raised or alert), [()] if alert else [])

    def expires_at(self, state: Errors) -> int:
        return state.end

    def expire(self, state: Errors, watermark: int) -> Errors | None:
        return None if state.end <= watermark else state


def error_alerts(
    clicks: DataFrame,
    *,
    window: Window = WINDOW,
    threshold: Annotated[int, "This many errors raise nothing. One more raises an alert."] = THRESHOLD,
    watermark: StateWatermark = WATERMARK,
) -> DataFrame:
    """Raise one alert for each tumbling window with more than `threshold` errors, as soon as there is one more.

    In: `event` (string; only `error` counts), `eventtimestamp` (timestamp, UTC).

    Out, once per window: `window_start`, `window_end` (timestamps, UTC) and `threshold` (int). Errors older than the
    watermark are dropped by Spark.
    """
    (start,) = sliding_starts(F.col("eventtimestamp"), window, window)
    errors = (
        clicks.withWatermark("eventtimestamp", interval(watermark))
        .where(F.col("event") == "error")
        .withColumn("start", start)
    )
    rules = ErrorAlerts(microseconds(window), threshold)
    return apply_rules(errors, rules, key="start", event_time="eventtimestamp", values=[]).select(
        F.timestamp_micros("start").alias("window_start"),
        F.timestamp_micros(F.col("start") + F.lit(microseconds(window))).alias("window_end"),
        F.lit(threshold).alias("threshold"),
    )
