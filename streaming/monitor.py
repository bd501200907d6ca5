"""What a running job is doing: fed by the runner (as its Listener), asked by the HTTP endpoint (streaming.endpoint).

Nobody asks Spark while a request waits: the thread that follows the query tells what it sees. So a driver that hangs
is noticed by its silence.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from streaming.progress import BatchReport
from streaming.runner import Listener

BATCHES_KEPT = 200
# No trigger has ended for so long: the driver hangs, or a batch is far too slow.
_LEAST_SILENCE = timedelta(minutes=2)
_TRIGGERS_OF_SILENCE = 10
_ASK_EVERY = timedelta(seconds=1)


class Monitor:
    """One run of one job over `source`, which starts now; `trigger` is the time between two batches."""

    def __init__(
        self, job: str, source: str, trigger: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.job = job
        self.trigger = trigger
        self.started = now()
        self.now = now
        self._source = source
        self._lock = threading.Lock()
        self._alive = self._asked = self.started
        self._ready = False
        self._failure = ""
        self._restarts = 0
        self._batches: deque[dict[str, Any]] = deque(maxlen=BATCHES_KEPT)
        self._partitions: dict[str, dict[str, int]] = {}

    def listening(self, then: Listener) -> Listener:
        """A listener that tells `then` what it always told, and this monitor as well."""

        def batch(report: BatchReport) -> None:
            self.batch(report)
            then.batch(report)

        def polled(query: StreamingQuery) -> None:
            self.polled(query)
            then.polled(query)

        def failed(reason: str) -> None:
            self.failed(reason)
            then.failed(reason)

        return replace(then, batch=batch, polled=polled, failed=failed)

    def batch(self, report: BatchReport) -> None:
        """A batch was committed."""
        told = _told(report, self.now())
        with self._lock:
            self._alive = self.now()
            self._ready, self._failure = True, ""
            self._batches.append(told)
            self._partitions = partitions(report.progress) or self._partitions

    def polled(self, query: StreamingQuery) -> None:
        """The query runs; its status is asked for now and then, because an idle trigger makes no report."""
        now = self.now()
        if now - self._asked < _ASK_EVERY:
            return
        self._asked = now
        self.seen(query.status)

    def seen(self, status: Mapping[str, Any]) -> None:
        """A query's status, as Spark tells it: between two triggers it waits, for data or for the next one."""
        if status["isTriggerActive"] or not status["message"].startswith("Waiting"):
            return
        with self._lock:
            self._alive = self.now()
            if not status["isDataAvailable"]:
                self._ready, self._failure = True, ""

    def failed(self, reason: str) -> None:
        """An attempt has failed; another one follows, or the job ends."""
        with self._lock:
            self._alive = self.now()
            self._ready, self._failure = False, reason
            self._restarts += 1

    def unhealthy(self) -> str:
        """Why the job should be started again, in a line; empty while it is alive."""
        silence = self.now() - self._alive
        bound = max(_LEAST_SILENCE, _TRIGGERS_OF_SILENCE * self.trigger)
        if silence <= bound:
            return ""
        return f"no trigger has ended for {silence.total_seconds():.0f} s; the bound is {bound.total_seconds():.0f} s"

    def unready(self) -> str:
        """Why the tables may not be up to date, in a line; empty where they are."""
        with self._lock:
            if self._failure:
                return f"the last attempt failed: {self._failure}"
            return "" if self._ready else "no batch is committed yet"

    def progress(self) -> dict[str, Any]:
        """What `/progress` answers (docs/metrics.md)."""
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
                "batches": list(self._batches),
            }


def partitions(progress: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Partition -> the offset after the batch (`end`), the newest that Spark knew (`latest`), and what is between."""
    found = {}
    for source in progress.get("sources", ()):
        ends, latest = source.get("endOffset"), source.get("latestOffset")
        if not isinstance(ends, dict) or not isinstance(latest, dict):
            continue  # files and sockets do not tell how far behind they are
        for topic, offsets in ends.items():
            if isinstance(offsets, dict):
                for partition, end in offsets.items():
                    newest = latest.get(topic, {}).get(partition, end)
                    found[partition] = {"end": end, "latest": newest, "lag": newest - end}
    return found


def watermark_of(report: BatchReport) -> datetime | None:
    """None before the first event, and where the job has none: then Spark says 1970."""
    if not report.watermark:
        return None
    watermark = datetime.fromisoformat(report.watermark)
    return watermark if watermark.timestamp() > 0 else None


def state(progress: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Operator -> rows and bytes of its state; a second operator of one name gets a number."""
    found: dict[str, tuple[int, int]] = {}
    for operator in progress.get("stateOperators", ()):
        name = operator["operatorName"]
        same = sum(each.split(" ")[0] == name for each in found)
        key = f"{name} {same + 1}" if same else name
        found[key] = operator["numRowsTotal"], operator["memoryUsedBytes"]
    return found


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(report: BatchReport, now: datetime) -> dict[str, Any]:
    progress = report.progress
    watermark = watermark_of(report)
    operators = state(progress).values()
    return {
        "batch_id": report.batch_id,
        "at": iso(now),
        "events": report.events,
        "seconds": report.seconds,
        "rows": report.rows,
        "duplicates": report.duplicates,
        "late": report.late,
        "dead": report.dead,
        "dead_by_reason": dict(report.dead_by_reason),
        "lag": report.lag,
        "watermark": None if watermark is None else iso(watermark),
        "phases_ms": progress.get("durationMs", {}),
        "sink_seconds": round(report.sink_seconds, 3),
        "state_rows": sum(rows for rows, _ in operators),
        "state_bytes": sum(size for _, size in operators),
        "input_rate": progress.get("inputRowsPerSecond", 0.0),
        "processed_rate": progress.get("processedRowsPerSecond", 0.0),
    }
