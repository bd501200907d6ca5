"""Measures processor time and memory of groups of processes, including all their children."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psutil

JOB, APPLYING, KAFKA, CASSANDRA = "job", "applying", "Kafka", "Cassandra"
SENDER, READER = "sender", "reader"
SAMPLE_SECONDS = 1.0
_MEBIBYTE = 2**20
# Names of groups, and their current processes.
Groups = Mapping[str, list[psutil.Process]]


def family(pid: int) -> list[psutil.Process]:
    """Return the process and all its descendants; nothing if the process is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def split(processes: list[psutil.Process]) -> dict[str, list[psutil.Process]]:
    """Separate the applying process, which is a child of the job, from the rest of the job."""
    applying: set[psutil.Process] = set()
    for process in processes:
        with suppress(psutil.Error):
            if "apply" in process.cmdline():
                applying.update(family(process.pid))
    return {JOB: [each for each in processes if each not in applying], APPLYING: list(applying)}


class Usage:
    """Measures the groups every second until `stop`.

    `seconds` has processor seconds and `peaks` the most MiB, both by group. After `stop`, `others` is the share of
    machine time that went to processes outside all groups.
    """

    def __init__(self, groups: Callable[[], Groups]) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self.others = 0.0
        self._machine = psutil.cpu_times()
        self._groups = groups
        self._known: dict[psutil.Process, tuple[str, float]] = {}
        self._stopping = threading.Event()
        self._look(first=True)
        self._thread = threading.Thread(target=self._follow, name="usage", daemon=True)
        self._thread.start()

    def stop(self) -> "Usage":
        self._stopping.set()
        self._thread.join()
        self._look()
        now = psutil.cpu_times()
        busy = _busy(now) - _busy(self._machine) - sum(self.seconds.values())
        self.others = max(0.0, busy) / max(1e-9, sum(now) - sum(self._machine))
        return self

    def _follow(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._look()
            due = time.monotonic() + SAMPLE_SECONDS

    def _look(self, *, first: bool = False) -> None:
        """Add the time and memory of now. A process that appears later counts from its start."""
        for name, processes in self._groups().items():
            memory = 0
            for process in processes:
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    spent = times.user + times.system
                    _, before = self._known.get(process, (name, spent if first else 0.0))
                    self._known[process] = name, spent
                    self.seconds[name] = self.seconds.get(name, 0.0) + max(0.0, spent - before)
                    memory += process.memory_info().rss
            self.peaks[name] = max(self.peaks.get(name, 0.0), memory / _MEBIBYTE)


def _busy(times: Any) -> float:  # noqa: ANN401 - psutil names it differently by system
    return float(times.user + times.system + getattr(times, "nice", 0.0))
