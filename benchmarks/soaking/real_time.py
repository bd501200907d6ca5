"""Measures a running real-time job. Its rows are in the tables long before its batch ends.

So the job's lines say nothing about lag and freshness. The job's endpoint does: `/progress` has the figures of the
applying process, a second old at most. Its histogram counts rows since the start. The difference between two
measurements is the rows in between.
"""

import json
import threading
import time
import urllib.request
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.pipeline import Process
from benchmarks.soaking.series import (
    AGE,
    BEYOND,
    DISK,
    HALF,
    MEMORY,
    MOST,
    PROCESSORS,
    WAITING,
    Sample,
)
from benchmarks.soaking.watched import JVM, PATIENCE_SECONDS, Watched
from common.settings import Settings
from streaming.apply.freshness import counts_of, quantile

ASKED_SECONDS = 5.0
# By series, the share of rows.
_SHARES = {HALF: 0.5, MOST: 0.99}


class WatchedInRealTime(Watched):
    """A job in real-time mode, whose batch lasts `length` seconds."""

    panels = (MEMORY, AGE, DISK, WAITING, PROCESSORS, BEYOND)

    def __init__(self, settings: Settings, folder: Path, job: Process, producer: Process, length: float) -> None:
        super().__init__(settings, folder, job, producer)
        self._length = length
        self._applied: dict[str, Any] = {}
        self._ages = Ages()

    def begun(self) -> bool:
        return bool(self._asked().get("rows_written"))

    def said(self, sample: Sample) -> str:
        ages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in sample[AGE].items())
        waiting = f"{sample[WAITING][WAITING]:,.0f} rows wait, from event to row {ages}"
        return f"{self.events:,} committed, {waiting}, JVM {sample[MEMORY].get(JVM, 0.0):,.0f} MiB"

    def committed(self) -> str:
        """Describe the batches in a sentence."""
        beyond = self._beyond()
        spread = f"; between two commits, in s beyond that: {page.spread(beyond)}" if beyond else ""
        return f"{len(self.batches)} batches of {self._length:g} s{spread}."

    def drain(self, stopping: threading.Event) -> None:
        """Ask the job to stop, and wait for the end of its batch: only then all its events are committed.

        After Ctrl-C nobody verifies, so the job is killed.
        """
        self._ask_to_stop()
        until = time.monotonic() + self._length + PATIENCE_SECONDS
        while self.ended != "job" and time.monotonic() < until and not stopping.wait(0.5):
            pass
        if self.ended != "job":
            self._job.kill()
        self._listener.join(PATIENCE_SECONDS)

    def _of_the_job(self, _sent: int) -> Sample:
        applied = self._asked()
        return {
            BEYOND: {BEYOND: (self._beyond() or [0.0])[-1]},
            WAITING: {WAITING: sum(applied.get("lag", {}).values())},
            AGE: self._ages.since(applied),
        }

    def _beyond(self) -> list[float]:
        """Return the seconds between two commits beyond the length of a batch, by this process's clock."""
        return [max(0.0, later - earlier - self._length) for (earlier, _), (later, _) in pairwise(self.batches)]

    def _counted(self, sent: int) -> int:
        """Return the messages of the topic: the state has seen nearly all of them, and no line says how many."""
        return sent

    def _disk(self) -> dict[str, int]:
        return super()._disk() | {"updates topic": self._on_disk(self._settings.topic.updates)}

    def _asked(self) -> dict[str, Any]:
        """Return the figures of the applying process; the last known ones if the job does not answer now."""
        if self.url:
            with suppress(OSError, ValueError):
                answer = urllib.request.urlopen(f"{self.url}/progress", timeout=ASKED_SECONDS)  # noqa: S310 - our own job
                with answer:
                    self._applied = json.load(answer).get("applied", {})
        return self._applied


class Ages:
    """The seconds from event to row, of the rows between two measurements."""

    def __init__(self) -> None:
        self._before: list[int] = []
        self._known = dict.fromkeys(_SHARES, 0.0)

    def since(self, applied: dict[str, Any]) -> dict[str, float]:
        """Return the percentiles since the previous call; the previous ones if no row came since.

        A new applying process counts from zero, so its first measurement counts whole.
        """
        counts = counts_of(applied.get("event_to_row_seconds", {}).get("buckets", {}))
        began_anew = len(self._before) != len(counts) or sum(self._before) > sum(counts)
        before = [0] * len(counts) if began_anew else self._before
        new = [now - then for now, then in zip(counts, before, strict=True)]
        self._before = counts
        for name, share in _SHARES.items():
            if (found := quantile(new, share)) is not None:
                self._known[name] = found
        return dict(self._known)
