"""Processes of `adstream apply` beside a test, and their reports."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tests.e2e.pipeline import Pipeline
from tests.e2e.updates import Updates, stored

SECONDS = 120


class Applying:
    """One applying process. `told` is its last report, as a document."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "adstream.cli", "apply", "ad-metrics", "--log-format", "json", *options]
        self._errors = tempfile.TemporaryFile("a+", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        self._running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.lines: list[dict[str, Any]] = []
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="applying")
        self._reader.start()

    @property
    def told(self) -> dict[str, Any]:
        return self.lines[-1]

    def wait_until(self, there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until `there` accepts the last report, and return that report. The process must not end before."""
        with self._said:
            assert self._said.wait_for(lambda: self._ended or (self.lines and there(self.told)), SECONDS), self.lines[
                -3:
            ]
            assert self.lines, self.errors()
            assert there(self.told), self.lines[-3:]
            return self.told

    def wait_for_partitions(self, count: int = 2) -> None:
        """Wait until the process has this many partitions."""
        self.wait_until(lambda told: len(told["applied"]) == count)

    def freeze(self) -> None:
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process as `kill -9` does."""
        self._running.kill()
        self._running.wait(30)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ask the process to stop, unless it has ended. Return its exit code and its error line."""
        if self._running.poll() is None and number:
            self._running.send_signal(number)
        return self.ended()

    def close_input(self) -> None:
        """Close the process's standard input, as the end of its parent does."""
        assert self._running.stdin is not None
        self._running.stdin.close()

    def ended(self) -> tuple[int, str]:
        """Wait for the end of the process. Return its exit code and its error line."""
        self._running.wait(SECONDS)
        self._reader.join()
        errors = self.errors()
        assert "Traceback" not in errors, errors
        return self._running.returncode, errors

    def errors(self) -> str:
        """Return what the process has written to standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def process(self) -> psutil.Process:
        return psutil.Process(self._running.pid)

    def _read(self) -> None:
        for line in self._running.stdout or ():
            with self._said:
                self.lines.append(json.loads(line))
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    def __enter__(self) -> "Applying":
        return self

    def __exit__(self, *_error: object) -> None:
        self.thaw()
        self._running.kill()
        with self._errors, self._running:
            self._reader.join()


@contextmanager
def sending(updates: Updates, rate: float) -> Iterator[None]:
    """Send events at this rate until the block ends. At its end all their rows are in the topic."""
    stop = threading.Event()
    thread = threading.Thread(target=updates.until, args=(stop, rate), name="sending")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def apply_once() -> None:
    """Apply what the topic holds."""
    with Applying("--once") as last:
        code, errors = last.ended()
        assert code == 0, errors


def apply_rest(pipeline: Pipeline, updates: Updates) -> None:
    """Apply what the topic holds, and compare every row, its figures and its timestamp."""
    apply_once()
    assert updates.events > 0
    assert stored(pipeline.settings) == updates.rows()
