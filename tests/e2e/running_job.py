"""A job that runs beside the test, and what it says."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.commands import started
from tests.e2e.pipeline import Pipeline

SECONDS = 300
# So that a few thousand events are several batches.
IN_SMALL_BATCHES = {"ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": "800"}


class Job:
    """A running job, and what it has said so far."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running
        self._lines: list[str] = []
        self.times: list[float] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._running.stdout or ():
            with self._said:
                self._lines.append(line)
                self.times.append(time.monotonic())
                self._said.notify_all()
        with self._said:
            self._lines.append("")  # it has ended
            self._said.notify_all()

    def await_line(self, pattern: str, *, after: int = 0) -> int:
        """Wait until a line matches, or until the job has ended; returns how many lines it has said."""

        def there() -> bool:
            return self._lines[-1:] == [""] or any(re.search(pattern, line) for line in self._lines[after:])

        with self._said:
            assert self._said.wait_for(there, SECONDS), self._lines
            return len(self._lines)

    def await_events(self, count: int) -> None:
        """Wait until the job's batches have taken so many events, or until it has ended."""

        def taken() -> bool:
            batches = (re.match(r"batch \d+ · ([\d,]+) events", line) for line in self._lines)
            return self._lines[-1:] == [""] or sum(int(each[1].replace(",", "")) for each in batches if each) >= count

        with self._said:
            assert self._said.wait_for(taken, SECONDS), self._lines

    def pauses(self, pattern: str) -> list[float]:
        """Seconds from each line that matches to the next batch."""
        found = []
        for number, line in enumerate(self._lines):
            if re.search(pattern, line):
                later = (
                    time for time, after in zip(self.times, self._lines, strict=False) if after.startswith("batch ")
                )
                found.append(min(each for each in later if each > self.times[number]) - self.times[number])
        return found

    def end(self) -> tuple[int, str, str]:
        """Ask it to stop, unless it has ended; returns its exit code, what it said and its error line."""
        if self._running.poll() is None:
            self._running.send_signal(signal.SIGTERM)
        self._running.wait(SECONDS)
        self._reader.join()
        errors = self._running.stderr.read() if self._running.stderr else ""
        assert "Traceback" not in errors
        return self._running.returncode, "".join(self._lines), errors


@contextmanager
def running_job(pipeline: Pipeline, *options: str) -> Iterator[Job]:
    with started(*pipeline.stream_command, "--trigger", "500ms", *options, **IN_SMALL_BATCHES) as running:
        yield Job(running)
