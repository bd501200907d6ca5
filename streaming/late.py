"""How many events of a batch Spark dropped as late, and for which windows: counted from the batch's own messages.

Spark's metric tells only that something was dropped: where a pattern aggregates, it counts groups of rows and not rows.
The batch is read again, and each event compared with the watermark that Spark compared it with. That happens only when
the metric is not zero, and it is a report: it changes nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from adstream import contracts
from streaming.job import Job
from streaming.patterns.event_time import interval


@dataclass(frozen=True)
class Late:
    """Events that were dropped from at least one window, and how many from each window (by its start, UTC)."""

    events: int
    by_window: dict[datetime, int]


def count_late(events: DataFrame, job: Job, watermark_millis: int) -> Late:
    """`events` as the pattern takes them; the watermark is the one of the batch before (Checkpoint.late_before)."""
    watermark = F.timestamp_millis(F.lit(watermark_millis))
    time = F.col(contracts.latest(job.contract).time_field)
    window, slide, gap = (job.parameters.get(name) for name in ("window", "slide", "gap"))
    if isinstance(gap, timedelta):
        return Late(events.where(time + F.expr(f"INTERVAL '{interval(gap)}'") <= watermark).count(), {})
    lengths = [interval(each) for each in (window, slide) if isinstance(each, timedelta)]
    windowed = events.select("position", time.alias("time"), F.window(time, *lengths).alias("window"))
    # Where events are deduplicated first, Spark drops what is older than the watermark, whatever its windows.
    passed = F.col("time") if job.parameters.get("dedupe") else F.col("window")["end"]
    dropped = windowed.where(passed <= watermark)
    rows = dropped.groupBy(F.col("window")["start"].alias("start")).count().collect()
    by_window = {row["start"].astimezone(UTC): row["count"] for row in rows}
    return Late(dropped.select("position").distinct().count() if by_window else 0, by_window)
