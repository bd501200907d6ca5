"""The streaming jobs that run on this machine, and their addresses: `<data dir>/running/JOB.json`.

A job writes its file when it begins to serve, and removes it at its end. A killed job leaves its file behind: a file
counts only while the process in it exists. Of two runs of one job, the file belongs to the younger one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.settings import Settings
from common.system.data_folder import writing

_TOLERANCE_SECONDS = 0.05  # of a process's start; the operating system counts in ticks of 10 ms


@dataclass(frozen=True)
class RunningJob:
    """`url` answers GET /progress, /metrics, /health and /ready; it ends without a slash."""

    job: str
    pid: int
    url: str


def running_jobs(settings: Settings) -> list[RunningJob]:
    """Return the jobs that run now, by name."""
    found = (_read(file) for file in sorted(_folder(settings).glob("*.json")))
    return [job for job in found if job is not None]


@contextmanager
def announced(settings: Settings, job: str, url: str) -> Iterator[None]:
    """List the job in `running_jobs` as one of this process, in this context.

    Raises ConfigError if the data folder cannot be written.
    """
    folder = _folder(settings)
    file = folder / f"{job}.json"
    pid = os.getpid()
    entry = {"job": job, "pid": pid, "url": url, "process_started": psutil.Process(pid).create_time()}
    draft = file.with_suffix(f".{pid}")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(entry) + "\n", encoding="utf-8")
        draft.replace(file)  # so that no reader sees half a file
    try:
        yield
    finally:
        with suppress(OSError, ValueError, KeyError):
            if json.loads(file.read_text(encoding="utf-8"))["pid"] == pid:
                file.unlink()


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "running"


def _read(file: Path) -> RunningJob | None:
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        # Systems reuse a process id, but never together with the same start time.
        process = psutil.Process(entry["pid"])
        if abs(process.create_time() - entry["process_started"]) > _TOLERANCE_SECONDS:
            return None
        if process.status() == psutil.STATUS_ZOMBIE:  # killed, and not reaped yet
            return None
        return RunningJob(entry["job"], entry["pid"], entry["url"])
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
