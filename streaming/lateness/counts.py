"""Late events: their number, their windows, and the lateness that would have kept each.

If the job decides lateness for each event (streaming.events.judge), one more aggregate of the observed metric counts
late events. No message is read twice. An event in several sliding windows is late for each, and counts in each.

Elsewhere Spark drops events by its watermark. Its metric is zero or not: for a pattern that aggregates, it counts
groups of rows, not rows. If the metric is not zero, the job reads the batch again, and compares each event with the
watermark that Spark used. The result is a report, and changes nothing.

Patterns without windows count by the minute of the event's time, and count an event from before 1970 in the first
window.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from common import contracts
from common.lateness.delays import LAST_STEP, STEPS, Delays, merged
from streaming.events.judge import LATE
from streaming.job import Job
from streaming.patterns.event_time import interval

# Up to this many late messages of a batch the sketch below cannot overflow. Up to this many different pairs of window
# and delay the batch's metrics stay small. Beyond either limit, the batch is read again.
MOST_TRACKED = 100_000
MOST_DIFFERENT = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_SECOND_MICROS = 1_000_000

# (Start of the newest window, in microseconds since 1970; rounded delay in seconds) -> events.
Pairs = Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class Late:
    """Late events of a batch, each counted once, and window -> delay -> events that were late for that window.

    `once` counts each event only in the newest of its windows. Without `windows` only the number is known.
    """

    events: int = 0
    windows: Mapping[datetime, Delays] = field(default_factory=dict)
    once: Mapping[datetime, int] = field(default_factory=dict)

    @property
    def by_window(self) -> dict[datetime, int]:
        return {start: sum(delays.values()) for start, delays in self.windows.items()}

    @property
    def delays(self) -> Delays:
        return merged(self.windows.values())


def pair(job: Job) -> Column:
    """Return a late message's newest window start and rounded delay, as text; null for other messages."""
    time = F.greatest(F.unix_micros(F.col("event")[contracts.latest(job.contract).time_field]), F.lit(0))
    start = time - time % F.lit(_slot(job) // timedelta(microseconds=1))
    delay = _rounded_up(F.unix_micros("timestamp") - time)
    return F.when(F.col("outcome") == LATE, F.concat_ws(" ", start.cast("string"), delay.cast("string")))


def observed_pairs(pairs: Column) -> Column:
    """Return an aggregate for `observe` that counts each `pair`; `pairs_of` and `exact` take it.

    The aggregate is Spark's sketch of the most frequent items, a count per value in bounded memory. The sketch is exact
    while it has met no more values than it may track, because it has thrown none away.
    """
    return F.call_function("approx_top_k", pairs, F.lit(MOST_DIFFERENT), F.lit(MOST_TRACKED))


def pairs_of(items: Iterable[Mapping[str, Any]]) -> Pairs:
    """Return the pairs of the observed value (parsed JSON). All messages that are not late are one null item."""
    found = [(item["item"].split(), item["count"]) for item in items if item.get("item") is not None]
    return {(int(start), int(delay)): count for (start, delay), count in found}


def exact(pairs: Pairs, events: int) -> bool:
    """Return whether the observed counts include all late messages of the batch."""
    return events <= MOST_TRACKED and len(pairs) < MOST_DIFFERENT - 1


def pairs_again(judged: DataFrame, job: Job) -> Pairs:
    """Return the same as `pairs_of`, from a batch's judged messages, for any number of them."""
    # Spark merges no expression through an observation, so it does not decode again for each part of the pair.
    whole = judged.observe("again", F.count(F.lit(1)).alias("messages"))
    rows = whole.groupBy(pair(job).alias("item")).count().collect()
    return pairs_of([row.asDict() for row in rows])


def by_windows(pairs: Pairs, job: Job) -> Late:
    """Return the late events of each window that they belong to."""
    window, slide = job.parameters.get("window"), job.parameters.get("slide")
    older = window // slide if isinstance(window, timedelta) and isinstance(slide, timedelta) else 1
    windows: dict[datetime, Counter[int]] = defaultdict(Counter)
    once: Counter[datetime] = Counter()
    for (start, delay), events in pairs.items():
        newest = _time(start)
        once[newest] += events
        for nth in range(older):
            windows[newest - nth * _slot(job)][delay] += events
    return Late(once.total(), windows, once)


def count_late(events: DataFrame, job: Job, watermark_millis: int) -> Late:
    """Count the events that Spark dropped.

    `events` are the pattern's input. The watermark comes from the batch before (Checkpoint.late_before). The delay is
    the watermark's delay plus the missing time. Spark also drops an event whose time *equals* the watermark.
    """
    time = F.col(contracts.latest(job.contract).time_field)
    window, slide, gap = (job.parameters.get(name) for name in ("window", "slide", "gap"))
    lengths = [interval(each) for each in (window, slide) if isinstance(each, timedelta)]
    by = F.window(time, *lengths) if lengths else F.window(time, interval(_MINUTE))
    windowed = events.where(job.concerns).select("position", time.alias("time"), by.alias("window"))
    if isinstance(gap, timedelta) and not job.arbitrary_state:
        passed = F.col("time") + F.expr(f"INTERVAL '{interval(gap)}'")
    elif lengths and not job.arbitrary_state and not job.parameters.get("dedupe"):
        passed = F.col("window")["end"]
    else:
        # If a job deduplicates first, or has arbitrary state, Spark drops events by their own time.
        passed = F.col("time")
    waited = job.parameters.get("watermark")
    allowed = waited // timedelta(microseconds=1) if isinstance(waited, timedelta) else 0
    lacked = F.lit(allowed + watermark_millis * 1_000 + 1) - F.unix_micros("passed")
    dropped = windowed.withColumn("passed", passed).where(F.unix_micros("passed") <= watermark_millis * 1_000)
    starts = F.unix_micros(F.col("window")["start"]).alias("start")
    each = dropped.select("position", starts, F.struct(starts, _rounded_up(lacked).alias("delay")).alias("window"))
    by_event = each.groupBy("position").agg(F.max("start").alias("newest"), F.collect_list("window").alias("windows"))
    counts = (
        by_event.select("newest", F.inline("windows"))
        .groupBy("start", "delay")
        .agg(F.count(F.lit(1)).alias("events"), F.count_if(F.col("start") == F.col("newest")).alias("once"))
    )
    windows: dict[datetime, Counter[int]] = defaultdict(Counter)
    once: Counter[datetime] = Counter()
    for row in counts.collect():
        windows[_time(row["start"])][row["delay"]] += row["events"]
        once[_time(row["start"])] += row["once"]
    return Late(once.total(), windows, once)


def _slot(job: Job) -> timedelta:
    """Return the time between two starts of windows."""
    for name in ("slide", "window"):
        found = job.parameters.get(name)
        if isinstance(found, timedelta):
            return found
    return _MINUTE


def _rounded_up(micros: Column) -> Column:
    """Do the same as common.lateness.delays.rounded_up, for microseconds."""
    seconds = F.ceil(micros / F.lit(_SECOND_MICROS)).cast("bigint")
    width = F.lit(LAST_STEP)
    for limit, step in reversed(STEPS):
        width = F.when(seconds <= limit, F.lit(step)).otherwise(width)
    return (F.ceil(seconds / width) * width).cast("bigint")


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
