"""A rack's changes between normal and warning, by arbitrary state: several hot readings in a row, in event order.

No aggregation answers a question about order. A window knows how many readings were hot, but not whether a cool reading
lay between them.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, LongType, StringType, StructType

from streaming.patterns.arguments import StateWatermark
from streaming.patterns.event_time import interval
from streaming.patterns.keyed_state import LATE_ROWS, EventRow, KeyRules, Taken, apply_rules

THRESHOLD = 100
READINGS = 3
WATERMARK = timedelta(minutes=10)

WARNING = "warning"
NORMAL = "normal"


class Rack(NamedTuple):
    """A rack's state: warning or not, its hot readings in a row, and the event time of its last reading."""

    warning: bool
    hot: int
    last: int


class RackAlerts(KeyRules[Rack]):
    """Rows are (event time, temperature). Racks are few and known, so a rack is remembered for ever."""

    lasts = "for ever"
    remembered = Rack
    stored = StructType().add("warning", BooleanType()).add("hot", LongType()).add("last", LongType())
    emitted = StructType().add("at", LongType()).add("status", StringType()).add("temperature", DoubleType())

    def __init__(self, threshold: int, readings: int) -> None:
        self._threshold = threshold
        self._readings = readings

    def take(self, state: Rack | None, rows: Sequence[EventRow]) -> Taken[Rack]:
        warning, hot, last = state or Rack(warning=False, hot=0, last=rows[0][0])
        changes: list[tuple[int, str, float]] = []
        late = 0
        for at, temperature in rows:
            if at < last:
                late += 1
                continue
            last = at
            hot = hot + 1 if temperature >= self._threshold else 0
            if not warning and hot >= self._readings:
                warning = True
                changes.append((at, WARNING, temperature))
            elif warning and not hot:
                warning = False
                changes.append((at, NORMAL, temperature))
        return Taken(Rack(warning, hot, last), changes, late)

    def expires_at(self, state: Rack) -> None:  # noqa: ARG002
        return None

    def expire(self, state: Rack, watermark: int) -> Rack:  # noqa: ARG002
        return state


def rack_alerts(
    temperatures: DataFrame,
    *,
    threshold: Annotated[int, "A reading of this or more is hot."] = THRESHOLD,
    readings: Annotated[int, "This many hot readings in a row are a warning."] = READINGS,
    watermark: StateWatermark = WATERMARK,
) -> DataFrame:
    """Return a row when a rack becomes too hot, and when that ends.

    A rack is too hot after `readings` readings in a row of at least `threshold`.

    In: `rack` (string), `temperature` (float, degrees Fahrenheit), `ts` (timestamp, UTC). Out, a row per change of
    status: `rack`, `changed_at` (timestamp, UTC, of the reading that made the change), `status` (`warning` or
    `normal`), `temperature` (float, of that reading), and `late_rows` (bigint). `late_rows` is null, except in an extra
    row with a rack's number of late readings: those older than a reading of an earlier batch, which are ignored.

    A rack begins as normal, without a row.
    """
    timely = temperatures.withWatermark("ts", interval(watermark))
    rules = RackAlerts(threshold, readings)
    values = [F.col("temperature").cast("double")]
    return apply_rules(timely, rules, key="rack", event_time="ts", values=values).select(
        "rack",
        F.timestamp_micros("at").alias("changed_at"),
        "status",
        F.col("temperature").cast("float").alias("temperature"),
        LATE_ROWS,
    )
