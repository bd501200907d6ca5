"""A job's metrics for Prometheus, by its naming conventions; docs/metrics.md lists them.

Each job has a registry of its own. Counters begin with the process, as Prometheus expects; every metric has the label
`job`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from common.text.shown import shown
from streaming.micro_batch.progress import BatchReport, partitions, rates, state, watermark_of
from streaming.monitoring.apply_metrics import Metrics as Applied
from streaming.monitoring.held_back import Held

# Without the series of each counter's creation time, which nobody uses.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# This phase is the sum of all others.
_WHOLE = "triggerExecution"


class Metrics:
    """The metrics of one run of a job. `up`, `ready` and the distance of the watermark are computed at each request."""

    def __init__(
        self,
        job: str,
        trigger_seconds: float,
        *,
        up: Callable[[], bool],
        ready: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._registry = CollectorRegistry()
        self._job = job = shown(job)
        self._now = now
        self._watermark: datetime | None = None

        self._gauge("up", "1 while triggers end, 0 after too long a silence").set_function(up)
        self._gauge("ready", "1 while the tables follow the topic").set_function(ready)
        self._gauge("trigger_interval_seconds", "Time between two batches, as asked for").set(trigger_seconds)
        self._restarts = self._counter("restarts", "Attempts that failed and were followed by another, or by the end")
        self._batches = self._counter("batches", "Committed batches")
        self._last_batch = self._gauge("last_batch_timestamp_seconds", "When the last batch was committed")
        self._events = self._counter("events", "Messages in committed batches, late and dead ones included")
        self._duplicates = self._counter("duplicate_events", "Events dropped because their event_id was known")
        self._late = self._counter("late_events", "Events that came too late, each counted once")
        self._dead: Counter = self._made(Counter, "dead_letters", "Messages that cannot be counted", "reason")
        self._dropped = self._counter("dropped_groups", "Groups that Spark's watermark dropped and that should count")
        self._input = self._gauge("input_events_per_second", "Arrival of the last batch's messages")
        self._processed = self._gauge("processed_events_per_second", "Speed of the last batch")
        self._lag: Gauge = self._made(Gauge, "lag_events", "Messages behind the last batch", "partition")
        self._held_back: Gauge = self._made(
            Gauge, "held_back_events", "Messages in or behind open transactions", "partition"
        )
        self._held_seconds: Gauge = self._made(
            Gauge, "held_back_seconds", "For how long the same open transaction has been in the way", "partition"
        )
        self._seconds: Histogram = self._made(
            Histogram, "batch_duration_seconds", "From planning to commit", buckets=_SECONDS
        ).labels(job)
        self._phases: Counter = self._made(Counter, "batch_phase_seconds", "Time of batches by Spark's phase", "phase")
        self._sink_rows = self._counter("sink_rows", "Rows written")
        self._sink_seconds = self._counter("sink_seconds", "Time in which rows were computed and written")
        self._delay: Gauge = self._made(Gauge, "watermark_delay_seconds", "How far the watermark is behind the clock")
        self._state_rows: Gauge = self._made(Gauge, "state_rows", "Rows of state", "operator")
        self._state_bytes: Gauge = self._made(Gauge, "state_bytes", "Memory that state takes", "operator")
        self._state_disk: Gauge = self._made(Gauge, "state_disk_bytes", "Files of state in RocksDB", "operator")

    def batch(self, report: BatchReport) -> None:
        """Count a committed batch."""
        self._batches.inc()
        self._last_batch.set(self._now().timestamp())
        self._events.inc(report.events)
        self._duplicates.inc(report.duplicates)
        self._late.inc(report.late)
        for reason, messages in report.dead_by_reason.items():
            self._dead.labels(self._job, shown(reason)).inc(messages)
        if report.alarm:
            self._dropped.inc(report.dropped_by_watermark)
        self._sink_rows.inc(report.rows)
        self._sink_seconds.inc(report.sink_seconds)
        if watermark := watermark_of(report):
            self._watermark = watermark
            self._delay.labels(self._job).set_function(self._behind)
        if report.progress:
            self._progress(report)

    def _progress(self, report: BatchReport) -> None:
        progress = report.progress
        if report.seconds is not None:
            self._seconds.observe(report.seconds)
        input_rate, processed_rate = rates(report)
        self._input.set(input_rate)
        self._processed.set(processed_rate)
        for phase, millis in progress.get("durationMs", {}).items():
            if phase != _WHOLE:
                self._phases.labels(self._job, shown(phase)).inc(millis / 1_000)
        self.partitions(partitions(report))
        for operator, kept in ((shown(name), kept) for name, kept in state(progress).items()):
            if kept.rows is not None:
                self._state_rows.labels(self._job, operator).set(kept.rows)
            self._state_bytes.labels(self._job, operator).set(kept.memory)
            self._state_disk.labels(self._job, operator).set(kept.disk)

    def partitions(self, at: Mapping[str, Mapping[str, int]]) -> None:
        """Set the job's place in each partition (streaming.micro_batch.progress.partitions)."""
        for partition, offsets in at.items():
            self._lag.labels(self._job, shown(partition)).set(offsets["lag"])
            self._held_back.labels(self._job, shown(partition)).set(offsets.get("held_back", 0))
            self._held_seconds.labels(self._job, shown(partition))  # 0 until an open transaction is seen

    def held_back(self, at: Mapping[int, Held]) -> None:
        """Set the messages held back by open transactions."""
        for partition, held in at.items():
            self._held_back.labels(self._job, str(partition)).set(held.messages)
            self._held_seconds.labels(self._job, str(partition)).set(held.seconds)

    def with_applied(self, figures: Callable[[], dict[str, Any]]) -> None:
        """Expose the figures of real-time mode's applying process too."""
        self._registry.register(Applied(self._job, figures))

    def restarted(self) -> None:
        """Count a failed attempt."""
        self._restarts.inc()

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics in the format that the Accept header asks for, and its content type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def _behind(self) -> float:
        return (self._now() - (self._watermark or datetime.fromtimestamp(0, UTC))).total_seconds()

    def _made(self, kind: type[Any], name: str, meaning: str, *labels: str, **further: Any) -> Any:  # noqa: ANN401
        return kind(f"adstream_{name}", meaning, ("job", *labels), registry=self._registry, **further)

    def _counter(self, name: str, meaning: str) -> Counter:
        counter: Counter = self._made(Counter, name, meaning).labels(self._job)
        return counter

    def _gauge(self, name: str, meaning: str) -> Gauge:
        gauge: Gauge = self._made(Gauge, name, meaning).labels(self._job)
        return gauge
