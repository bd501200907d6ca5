"""Put sliding windows and an all-time total into one stateful query.

An event is in several sliding windows, so their sum counts it several times: totals need an aggregate of their own. A
second query would read and decode everything again. Instead each event goes into all its windows *and* into one bucket
for all time, and one group-by keeps both.

Spark's watermark evicts a group when it has passed the *end* of the group's event-time struct. The all-time bucket ends
in the year 2200, so it stays for ever.
"""

from datetime import UTC, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.patterns.event_time import DELAY_KEY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The year 9999 would do for Spark, but overflows pandas and Arrow.
_ALL_TIME_END = datetime(2200, 1, 1, tzinfo=UTC)


def microseconds(duration: timedelta) -> int:
    """The duration in whole microseconds, Spark's resolution of time."""
    return duration // timedelta(microseconds=1)


def sliding_starts(event_time: Column, window: timedelta, slide: timedelta) -> list[Column]:
    """Starts, in microseconds, of the windows that hold `event_time`; aligned to the epoch, as `F.window` does it."""
    if slide <= timedelta(0) or window % slide:
        raise ValueError(f"window {window} is not a multiple of slide {slide}")
    now = F.unix_micros(event_time)
    newest = now - F.pmod(now, F.lit(microseconds(slide)))
    return [newest - F.lit(nth * microseconds(slide)) for nth in range(window // slide)]


def in_buckets(
    events: DataFrame, event_time: Column, *, window: timedelta, slide: timedelta, watermark: timedelta
) -> DataFrame:
    """Repeat each event once per bucket that it belongs to.

    Adds `bucket`, a struct of two timestamps `start` and `end` (UTC, half-open): each of the event's sliding windows,
    and the all-time bucket. `watermark` must be the delay that the input's event-time column carries.
    """
    windows = [
        _bucket(F.timestamp_micros(start), F.timestamp_micros(start + F.lit(microseconds(window))))
        for start in sliding_starts(event_time, window, slide)
    ]
    buckets = F.array(*windows, _bucket(F.lit(_EPOCH), F.lit(_ALL_TIME_END)))
    delay = {DELAY_KEY: microseconds(watermark) // 1_000}
    return events.withColumn("bucket", F.explode(buckets)).withMetadata("bucket", delay)


def is_window(bucket: Column) -> Column:
    """True for a sliding window, false for the bucket that holds everything."""
    return bucket["end"] < F.lit(_ALL_TIME_END)


def _bucket(start: Column, end: Column) -> Column:
    return F.struct(start.alias("start"), end.alias("end"))
