"""The reports of the applying process: a line for people every few seconds, or one for programs every second."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from common.errors import AdstreamError
from streaming.apply.applier import Applier
from streaming.apply.freshness import Freshness
from streaming.micro_batch.progress import iso
from streaming.monitoring.apply_metrics import Metrics

PROGRAM_SECONDS, PEOPLE_SECONDS = 1.0, 5.0


class ApplyMonitor:
    """The state for the endpoint (streaming.monitoring.endpoint). Only the loop's thread writes it."""

    def __init__(self, job: str, applier: Applier) -> None:
        self.job = job
        self._applier = applier
        self._lock = threading.Lock()
        self._progress: dict[str, Any] = {}
        self.metrics = Metrics(job, self.progress)
        self.look()

    def look(self) -> dict[str, Any]:
        """Take the present figures, and return them as `progress` does."""
        found = figures(self._applier)
        with self._lock:
            self._progress = found
        return found

    def progress(self) -> dict[str, Any]:
        """Return the answer to `/progress` (docs/metrics.md)."""
        with self._lock:
            return {"job": self.job, "topic": self._applier.changelog.topic, **self._progress}

    def unhealthy(self) -> str:
        """Return an empty line always: the process ends by itself when it cannot go on."""
        return ""

    def unready(self) -> str:
        """Return why rows wait, in a line."""
        return self._applier.away


class Report:
    """Reports the progress of the process.

    `say` gets lines for people; with `out`, each line is a JSON object there.
    """

    def __init__(self, monitor: ApplyMonitor, applier: Applier, say: Callable[[str], None], out: TextIO | None) -> None:
        self._monitor, self._applier, self._say, self._out = monitor, applier, say, out
        self._every = PEOPLE_SECONDS if out is None else PROGRAM_SECONDS
        self._at = time.monotonic()
        self._read, self._written = 0, 0
        self._freshness = Freshness()

    def __call__(self, *, now: bool = False) -> None:
        """Print the state, every few seconds or `now`."""
        elapsed = time.monotonic() - self._at
        if elapsed < self._every and not now:
            return
        self._at = time.monotonic()
        told = self._monitor.look()
        done = self._applier.figures
        read, written = done.read - self._read, done.written - self._written
        line = _line(read, written, elapsed, told, done.freshness.since(self._freshness))
        self._read, self._written, self._freshness = done.read, done.written, done.freshness.copy()
        if self._out is not None:
            self._write(self._out, "info", line, told)
        elif read or now:
            self._say(line)

    def event(self, line: str) -> None:
        """Report an event that is normal."""
        self._tell("info", line)

    def notice(self, line: str) -> None:
        """Report an event that people should look at."""
        self._tell("warning", line)

    def _tell(self, level: str, line: str) -> None:
        if self._out is None:
            self._say(line)
        else:
            self._write(self._out, level, line, figures(self._applier))

    def failed(self, error: AdstreamError) -> None:
        """Report the error that ends the process, and its kind.

        The command line prints it for people, so only `out` gets it here.
        """
        if self._out is not None:
            told = {**figures(self._applier), "error": type(error).__name__}
            self._write(self._out, "error", str(error), told)

    def _write(self, out: TextIO, level: str, message: str, told: dict[str, Any]) -> None:
        line = {"at": iso(datetime.now(UTC)), "level": level, "job": self._monitor.job, "message": message, **told}
        out.write(json.dumps(line) + "\n")
        out.flush()


def figures(applier: Applier) -> dict[str, Any]:
    """Return counts since the process began, and offsets of its partitions.

    `applied` is the next offset: all rows before it are in the tables.
    """
    done = applier.figures
    newest = datetime.fromtimestamp(done.newest_event / 1_000, UTC) if done.newest_event else None
    return {
        "rows_read": done.read,
        "rows_written": done.written,
        "rows_coalesced": applier.newest.coalesced,
        "rows_outdated": applier.newest.outdated,
        "applied": {str(number): offset for number, offset in sorted(applier.changelog.positions().items())},
        "lag": {str(number): behind for number, behind in sorted(applier.changelog.lag().items())},
        "newest_event": None if newest is None else iso(newest),
        "event_to_row_seconds": done.freshness.told(),
        "waiting_for": applier.away,
    }


def last_line(applier: Applier) -> str:
    """Return a line with the totals of the process."""
    done = applier.figures
    return (
        f"{done.read:,} rows read, {done.written:,} written; {applier.newest.coalesced:,} had a newer one waiting, "
        f"{applier.newest.outdated:,} were not newer than what was written"
    )


def _line(read: int, written: int, elapsed: float, told: dict[str, Any], fresh: Freshness) -> str:
    lag = sum(told["lag"].values())
    line = f"{read:,} rows read ({read / max(elapsed, 1e-9):,.0f}/s) · {written:,} written · lag {lag:,}"
    half, most = fresh.quantile(0.5), fresh.quantile(0.99)
    if half is None or most is None:
        return line
    return f"{line} · event to row p50 {_time(half)}, p99 {_time(most)}"


def _time(seconds: float) -> str:
    return f"{seconds * 1_000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
