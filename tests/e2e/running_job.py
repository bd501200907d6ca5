"""A job that runs beside the test, and what it says."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.commands import started
from tests.e2e.pipeline import Pipeline

SECONDS = 300
# So that a few thousand events are several batches.
SMALL_BATCH = 800


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

    def await_line(self, pattern: str, *, after: int = 0, or_end: bool = False) -> int:
        """Wait until a line matches; returns how many lines the job has said. It must not end before, unless it may."""
        self._await(lambda: any(re.search(pattern, line) for line in self._lines[after:]), or_end=or_end)
        return len(self._lines)

    def await_events(self, count: int) -> None:
        """Wait until the job's batches have taken so many events."""

        def taken() -> bool:
            batches = (re.match(r"batch \d+ · ([\d,]+) events", line) for line in self._lines)
            return sum(int(each[1].replace(",", "")) for each in batches if each) >= count

        self._await(taken, or_end=False)

    def _await(self, there: Callable[[], bool], *, or_end: bool) -> None:
        with self._said:
            assert self._said.wait_for(lambda: self._lines[-1:] == [""] or there(), SECONDS), self._lines
            assert or_end or there(), f"the job has ended: {self._lines}"

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

    def kill(self) -> None:
        """As `kill -9` of the driver."""
        self._running.kill()
        self._reader.join()

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
def running_job(
    pipeline: Pipeline, *options: str, trigger: str = "500ms", most_events: int = SMALL_BATCH
) -> Iterator[Job]:
    """ad-metrics, in batches of at most so many events, until the block ends."""
    size = {"ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": str(most_events)}
    with started(*pipeline.stream_command, "--trigger", trigger, *options, **size) as running:
        job = Job(running)
        try:
            yield job
        finally:
            job.kill()
