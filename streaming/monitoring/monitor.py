"""The state of a running job.

The runner feeds this state (as its Listener), and the HTTP endpoint reads it (streaming.monitoring.endpoint).

No request waits for Spark: the thread that follows the query reports it. If the driver hangs, the reports stop, and
`/health` notices.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark import SparkContext
from pyspark.sql.streaming.query import StreamingQuery

from streaming.micro_batch.progress import BatchReport, figures, iso, newest_event, partitions
from streaming.monitoring.held_back import Held
from streaming.monitoring.listener import Listener
from streaming.monitoring.metrics import Metrics
from streaming.monitoring.running import all_tasks_run

BATCHES_KEPT = 200
# No trigger has ended for this long: the driver hangs, or a batch is far too slow.
_LEAST_SILENCE = timedelta(minutes=2)
_TRIGGERS_OF_SILENCE = 10
# A real-time batch lasts as long as its trigger. The first one after a crash may take twice the time.
_BATCHES_OF_SILENCE = 3
_ASK_EVERY = timedelta(seconds=1)
# Fields of the applying process's lines other than its figures.
_OF_A_LINE = ("at", "level", "job", "message")
# Ten minutes, a point a second.
_POINTS_KEPT = 600


class Monitor:
    """One run of one job over `source`, which starts now; `trigger` is the time between two commits."""

    def __init__(
        self,
        job: str,
        source: str,
        trigger: timedelta,
        *,
        real_time: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.job = job
        self.trigger = trigger
        self.started = now()
        self.now = now
        self._silence = max(_LEAST_SILENCE, trigger * (_BATCHES_OF_SILENCE if real_time else _TRIGGERS_OF_SILENCE))
        self._real_time = real_time
        self._source = source
        self._lock = threading.Lock()
        self._alive = self._asked = self.started
        self._ready = False
        self._failure = ""
        self._restarts = 0
        self._batches: deque[dict[str, Any]] = deque(maxlen=BATCHES_KEPT)
        self._partitions: dict[str, dict[str, int]] = {}
        self._applied: dict[str, Any] = {}
        self._newest: datetime | None = None
        self._freshness: deque[tuple[str, float]] = deque(maxlen=_POINTS_KEPT)
        self.metrics = Metrics(
            job,
            trigger.total_seconds(),
            up=lambda: not self.unhealthy(),
            ready=lambda: not (self.unhealthy() or self.unready()),
            now=now,
        )

    def listening(self, then: Listener) -> Listener:
        """Return a listener that calls `then` and also feeds this monitor."""

        def batch(report: BatchReport) -> None:
            self.batch(report)
            then.batch(report)

        def polled(query: StreamingQuery) -> None:
            self.polled(query)
            then.polled(query)

        def failed(reason: str) -> None:
            self.failed(reason)
            then.failed(reason)

        def held_back(at: Mapping[int, Held]) -> None:
            self.held_back(at)
            then.held_back(at)

        def applied(figures: Mapping[str, Any]) -> None:
            self.applied(figures)
            then.applied(figures)

        return replace(then, batch=batch, polled=polled, failed=failed, held_back=held_back, applied=applied)

    def batch(self, report: BatchReport) -> None:
        """Take the report of a committed batch."""
        told = figures(report, self.now())
        self.metrics.batch(report)
        with self._lock:
            self._alive = self.now()
            self._ready, self._failure = True, ""
            self._batches.append(told)
            self._partitions = partitions(report) or self._partitions
            if not self._applied:  # in real-time mode rows reach the tables before their batch ends
                self._in_the_tables(newest_event(report))

    def held_back(self, at: Mapping[int, Held]) -> None:
        """Set the messages held back by open transactions, also while there is no batch."""
        with self._lock:
            for number, held in at.items():
                if (known := self._partitions.get(str(number))) is not None:
                    more = held.messages - known.get("held_back", 0)
                    known["held_back"] = held.messages
                    known["latest"] += more
                    known["lag"] += more
            self.metrics.partitions(self._partitions)
        self.metrics.held_back(at)

    def applied(self, figures: Mapping[str, Any]) -> None:
        """Take the figures of real-time mode's applying process (streaming.apply.report)."""
        with self._lock:
            first = not self._applied
            self._applied = {name: value for name, value in figures.items() if name not in _OF_A_LINE}
            if newest := figures.get("newest_event"):
                self._in_the_tables(datetime.fromisoformat(newest))
        if first:
            self.metrics.with_applied(lambda: self._applied)

    def polled(self, query: StreamingQuery) -> None:
        """Ask for the query's status now and then, because an idle trigger makes no report."""
        now = self.now()
        if now - self._asked < _ASK_EVERY:
            return
        self._asked = now
        with self._lock:
            if self._newest is not None:
                self._freshness.append((iso(now), round((now - self._newest).total_seconds(), 3)))
        status = query.status
        self.seen(status, takes_events=self._real_time and status["isTriggerActive"] and self._takes_events())

    def _in_the_tables(self, newest: datetime | None) -> None:
        if newest is not None:
            self._newest = max(newest, self._newest or newest)

    def seen(self, status: Mapping[str, Any], *, takes_events: bool = False) -> None:
        """Take a query's status from Spark.

        Between two triggers the query waits, for data or for the next trigger. A real-time query waits within its
        batch, and rows follow the topic once that batch takes events.
        """
        between = not status["isTriggerActive"] and status["message"].startswith("Waiting")
        with self._lock:
            if between:
                self._alive = self.now()
            if (takes_events and self._applied) or (between and not status["isDataAvailable"]):
                self._ready, self._failure = True, ""

    def _takes_events(self) -> bool:
        """Return whether a real-time batch takes events. A job that is ready already is not asked again."""
        context = SparkContext._active_spark_context
        return context is not None and not self._ready and all_tasks_run(context)

    def failed(self, reason: str) -> None:
        """Note a failed attempt. Another one follows, or the job ends."""
        self.metrics.restarted()
        with self._lock:
            self._alive = self.now()
            self._ready, self._failure = False, reason
            self._restarts += 1

    def unhealthy(self) -> str:
        """Return why the job should be started again, in a line; empty while it is alive."""
        silence = self.now() - self._alive
        if silence <= self._silence:
            return ""
        bound = f"{self._silence.total_seconds():.0f} s"
        return f"no trigger has ended for {silence.total_seconds():.0f} s; the bound is {bound}"

    def unready(self) -> str:
        """Return why the tables may not be up to date, in a line; empty if they are."""
        with self._lock:
            if self._failure:
                return f"the last attempt failed: {self._failure}"
            if self._applied.get("waiting_for"):
                return f"rows wait to be applied: {self._applied['waiting_for']}"
            return "" if self._ready or self._applied.get("rows_written") else "no batch is committed yet"

    def progress(self) -> dict[str, Any]:
        """Return the answer to `/progress` (docs/metrics.md)."""
        reason = self.unhealthy() or self.unready()
        with self._lock:
            return {
                "job": self.job,
                "source": self._source,
                "started": iso(self.started),
                "restarts": self._restarts,
                "ready": not reason,
                "reason": reason,
                "trigger_seconds": self.trigger.total_seconds(),
                "partitions": self._partitions,
                "newest_event": None if self._newest is None else iso(self._newest),
                "freshness": [{"at": at, "seconds": seconds} for at, seconds in self._freshness],
                **({"applied": self._applied} if self._applied else {}),
                "batches": list(self._batches),
            }
