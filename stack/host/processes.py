"""Processes that outlive the command that starts them, and are found again by process id and time of creation."""

import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.own_stack import CREATE_TIME_TOLERANCE

STOP_SECONDS = 30.0

# Python reaps a child through its Popen object, and warns if that was dropped. So keep the object while the child runs.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class Running:
    """A process by its id and its creation time (seconds since 1970). The system reuses an id, but never this pair."""

    pid: int
    create_time: float

    def process(self) -> psutil.Process | None:
        """Return the process. None if it has ended, or if the id belongs to another process by now."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
            child = None
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.create_time) >= CREATE_TIME_TOLERANCE:
                return None
            # Of a child the state proves nothing: a JVM whose first thread has ended looks like a zombie while the
            # others still run.
            return process if child is not None or process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def memory(self) -> int | None:
        """Return the process's resident bytes; None if it has ended."""
        process = self.process()
        try:
            return process.memory_info().rss if process else None
        except psutil.Error:  # it has ended in this moment
            return None


def start(command: list[str], *, log: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Running:
    """Start a process in its own session, so that this terminal's Ctrl-C does not reach it, with output into `log`.

    The log of the previous start is kept as `<log>.1`. Without an `environment` the process gets this process's.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    _children[child.pid] = child
    return Running(child.pid, psutil.Process(child.pid).create_time())


def stop(processes: Iterable[Running], grace_seconds: float = STOP_SECONDS) -> list[Running]:
    """Send SIGTERM to all, wait for a bounded time, then SIGKILL the rest. Returns the processes that needed SIGKILL.

    A process id that now belongs to another process is left alone.
    """
    asked = list(processes)
    for running in asked:
        if process := running.process():
            with suppress(psutil.Error):
                process.terminate()
    deadline = time.monotonic() + grace_seconds
    while _alive(asked) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed = _alive(asked)
    for running in killed:
        if process := running.process():
            with suppress(psutil.Error):
                process.kill()
    deadline = time.monotonic() + grace_seconds
    while _alive(killed) and time.monotonic() < deadline:
        time.sleep(0.05)
    return killed


def _alive(processes: Iterable[Running]) -> list[Running]:
    return [running for running in processes if running.process() is not None]
