"""Measures a running job in micro-batches, its producer, the services, and their folders."""

import os
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.freshness.usage import family
from benchmarks.pipeline import ADDRESS, JOB, Process
from benchmarks.soaking.series import (
    BATCH_TIME,
    DISK,
    LAG,
    MEMORY,
    MIB,
    PER_ID,
    PER_MESSAGE,
    PROCESSORS,
    Sample,
)
from common import kafka
from common.settings import Settings
from stack import state
from streaming.jobs import find

PATIENCE_SECONDS = 300.0
BATCH = re.compile(r"batch \d+ · ([\d,]+) events in ([\d.]+) s")
JVM, PYTHON, WORKERS, APPLYING = "job, JVM", "job, Python", "job, Python workers", "applying process"


class Watched:
    """The running job and producer, and all measured processes and folders. Remote services are left out.

    `events` counts the messages in committed batches. `batches` has the time and the seconds of each. `url` is the
    address of the job's endpoint, once the job has printed it. `notices` has the job's other lines, as of a failed
    attempt.
    """

    # The panels of the plot.
    panels = (MEMORY, BATCH_TIME, DISK, LAG, PROCESSORS, PER_ID)

    def __init__(self, settings: Settings, folder: Path, job: Process, producer: Process) -> None:
        self._settings, self._folder, self._job, self._producer = settings, folder, job, producer
        self._before: list[tuple[float, int]] = []
        self.events = 0
        self.seconds = 0.0
        self.batches: list[tuple[float, float]] = []
        self.url = ""
        self.notices: list[str] = []
        psutil.cpu_times_percent()  # each call returns the shares since the previous call
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._job.stdout or ():
            if found := BATCH.match(line):
                self.seconds = float(found[2])
                self.batches.append((time.monotonic(), self.seconds))
                self.events += int(found[1].replace(",", ""))
            elif address := ADDRESS.search(line):
                self.url = address[1]
            elif line.strip():
                self.notices.append(line.strip())

    @property
    def ended(self) -> str:
        """The name of the process that has ended by itself; empty while both run."""
        both = {"job": self._job, "producer": self._producer}
        return next((name for name, process in both.items() if process.poll() is not None), "")

    @property
    def sent(self) -> int:
        return sum(kafka.end_offsets(self._settings, self._settings.topic.ads).values())

    def begun(self) -> bool:
        """Return whether rows have reached the tables."""
        return bool(self.events)

    def said(self, sample: Sample) -> str:
        """Describe the state in a line."""
        batch = f"{self.events:,} counted, {sample[LAG][LAG]:,.0f} to come, batch {self.seconds:.1f} s"
        return f"{batch}, JVM {sample[MEMORY].get(JVM, 0.0):,.0f} MiB"

    def look(self) -> Sample:
        """Measure everything now."""
        topic, sent = self._settings.topic.ads, self.sent
        kept = sent - sum(kafka.begin_offsets(self._settings, topic).values())
        disk = self._disk()
        shares = psutil.cpu_times_percent()
        taken = getattr(shares, "steal", 0.0)
        here = 100.0 - shares.idle - getattr(shares, "iowait", 0.0) - taken
        return {
            MEMORY: {name: used / MIB for name, used in self._memory().items()},
            DISK: {name: used / MIB for name, used in disk.items()},
            **self._of_the_job(sent),
            PROCESSORS: {"here": here, "others on the host": taken},
            PER_ID: {PER_ID: disk["checkpoint"] / max(1, self._ids(sent))},
            PER_MESSAGE: {PER_MESSAGE: disk["topic"] / max(1, kept)},
        }

    def drain(self, stopping: threading.Event) -> None:
        """Wait until the job has counted all messages, and let it end."""
        until, sent = time.monotonic() + PATIENCE_SECONDS, self.sent
        while self.events < sent and self.ended != "job" and time.monotonic() < until and not stopping.wait(0.5):
            pass

    def _of_the_job(self, sent: int) -> Sample:
        return {BATCH_TIME: {BATCH_TIME: self.seconds}, LAG: {LAG: sent - self.events}}

    def _counted(self, _sent: int) -> int:
        """Return how many messages the state has seen."""
        return self.events

    def _disk(self) -> dict[str, int]:
        data = self._settings.data_dir.absolute()
        return {
            "checkpoint": size(self._folder / "checkpoint"),
            "RocksDB's working files": size(self._folder / "local"),
            "topic": self._on_disk(self._settings.topic.ads),
            "Cassandra": size(data / "cassandra"),
        }

    def _on_disk(self, topic: str) -> int:
        logs = self._settings.data_dir.absolute() / "kafka" / "logs"
        return sum(size(each) for each in logs.glob(f"{topic}-*"))

    def _memory(self) -> dict[str, int]:
        pids = [(PYTHON, self._job.pid), ("producer", self._producer.pid)]
        services = state.read(self._settings.data_dir.absolute()).services
        pids += [(name, entry.pid) for name, entry in services.items()]
        for child in family(self._job.pid)[1:]:
            with suppress(psutil.Error):
                pids.append((_name(child), child.pid))
        found: dict[str, int] = {}
        for name, pid in pids:
            with suppress(psutil.Error):
                found[name] = found.get(name, 0) + psutil.Process(pid).memory_info().rss
        return found

    def _ids(self, sent: int) -> int:
        """Return the number of events in the last watermark delay: the state keeps an id for that long."""
        now, watermark, counted = time.monotonic(), find(JOB).watermark, self._counted(sent)
        self._before.append((now, counted))
        keeps = watermark.total_seconds() if watermark else 0.0
        return counted - max((events for at, events in self._before if at < now - keeps), default=0)

    def _ask_to_stop(self) -> None:
        with suppress(ProcessLookupError):
            self._job.send_signal(signal.SIGTERM)


def _name(child: psutil.Process) -> str:
    """Return the name of a job's child in the table. The applying process is a Python process of its own."""
    if child.name() == "java":
        return JVM
    return APPLYING if "apply" in child.cmdline() else WORKERS


def size(folder: Path) -> int:
    """Return the bytes on disk of all files below. Files that disappear meanwhile do not count."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found += Path(where, name).lstat().st_blocks * 512
    return found
