"""A job that runs beside the test, and the lines that it prints."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

from pyspark.sql import SparkSession

from common.settings import Settings
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from tests.e2e.commands import started
from tests.e2e.pipeline import JOB, Pipeline

SECONDS = 300
# Small enough to divide a few thousand events into several batches.
SMALL_BATCH = 800
_SHOWN = 25


class Lines:
    """The lines that a running job has printed so far."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.times: list[float] = []
        self._said = threading.Condition()

    def say(self, line: str) -> None:
        """Add a line. An empty line is the last: the job has ended."""
        with self._said:
            self._lines.append(line)
            self.times.append(time.monotonic())
            self._said.notify_all()

    def await_line(self, pattern: str, *, after: int = 0, or_end: bool = False) -> int:
        """Wait until a line matches. Return how many lines the job has printed.

        The job must not end before, unless `or_end` allows it.
        """
        self._await(lambda: any(re.search(pattern, line) for line in self._lines[after:]), or_end=or_end)
        return len(self._lines)

    def await_end(self) -> None:
        """Wait until the job has ended by itself."""
        self._await(lambda: False, or_end=True)

    def await_events(self, count: int) -> None:
        """Wait until the job's batches have processed this many events."""

        def taken() -> bool:
            batches = (re.match(r"batch \d+ · ([\d,]+) events", line) for line in self._lines)
            return sum(int(each[1].replace(",", "")) for each in batches if each) >= count

        self._await(taken, or_end=False)

    def _await(self, there: Callable[[], bool], *, or_end: bool) -> None:
        with self._said:
            in_time = self._said.wait_for(lambda: self._lines[-1:] == [""] or there(), SECONDS)
            assert in_time, f"after {SECONDS} s the job has said:\n{self.said()}"
            assert or_end or there(), f"the job has ended:\n{self.said()}"

    def said(self) -> str:
        """Return the job's last lines, and how many seconds ago it printed each."""
        now = time.monotonic()
        told = zip(self.times[-_SHOWN:], self._lines[-_SHOWN:], strict=True)
        return "".join(f"{now - at:6.1f} s ago: {line or 'its end'}" for at, line in told)

    def pauses(self, pattern: str) -> list[float]:
        """Return the seconds from each matching line to the next batch."""
        found = []
        for number, line in enumerate(self._lines):
            if re.search(pattern, line):
                later = (
                    time for time, after in zip(self.times, self._lines, strict=False) if after.startswith("batch ")
                )
                found.append(min(each for each in later if each > self.times[number]) - self.times[number])
        return found


class Job(Lines):
    """A job in a process of its own."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        super().__init__()
        self._running = running
        self._errors: list[str] = []
        self._error_reader = threading.Thread(target=self._read_errors)
        self._error_reader.start()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read_errors(self) -> None:
        self._errors.extend(self._running.stderr or ())

    def _read(self) -> None:
        for line in self._running.stdout or ():
            self.say(line)
        self._error_reader.join()
        self.say("")

    def said(self) -> str:
        """Return the job's last lines and, when it has ended, its error line."""
        return super().said() + "".join(self._errors)

    @property
    def pid(self) -> int:
        return self._running.pid

    def address(self) -> str:
        """The address of the job's endpoint. Waits until the job has printed it."""
        self.await_line(r"metrics, health and progress: ")
        [found] = [re.search(r"(http://\S+)/metrics", line) for line in self._lines if "metrics, health" in line]
        assert found
        return found[1]

    def kill(self) -> None:
        """Kill the driver as `kill -9` does."""
        self._running.kill()
        self._reader.join()

    def end(self) -> tuple[int, str, str]:
        """Ask the job to stop, unless it has ended. Return its exit code, its output and its error line."""
        if self._running.poll() is None:
            self._running.send_signal(signal.SIGTERM)
        self._running.wait(SECONDS)
        self._reader.join()
        errors = "".join(self._errors)
        assert "Traceback" not in errors
        return self._running.returncode, "".join(self._lines), errors


class JobHere(Lines):
    """A job in the test's own session. It starts in a fraction of the time, and no signal reaches it."""

    def __init__(self, spark: SparkSession, pipeline: Pipeline, trigger: timedelta) -> None:
        super().__init__()
        self._stopping = threading.Event()
        options = Options(trigger, checkpoint=str(pipeline.checkpoint))
        listener = Listener(batch=lambda report: self.say(f"{report}\n"), notice=lambda line: self.say(f"{line}\n"))
        runner = Runner(spark, Settings(), JOB, options, listener=listener, stopping=self._stopping)
        self._pool = ThreadPoolExecutor(1)
        self._run = self._pool.submit(runner.run)
        self._run.add_done_callback(lambda _run: self.say(""))

    def end(self) -> str:
        """Ask the job to stop, unless it has ended. Returns its output, or raises the error that ended it."""
        self._stopping.set()
        with self._pool:
            self._run.result(SECONDS)
        return "".join(self._lines)


@contextmanager
def running_here(spark: SparkSession, pipeline: Pipeline, *, trigger: timedelta) -> Iterator[JobHere]:
    """Run ad-metrics in the test's own session until the block ends."""
    job = JobHere(spark, pipeline, trigger)
    try:
        yield job
    finally:
        job.end()


@contextmanager
def running_job(
    pipeline: Pipeline, *options: str, trigger: str = "500ms", most_events: int = SMALL_BATCH, **environment: str
) -> Iterator[Job]:
    """Run ad-metrics until the block ends, in batches of at most `most_events` events."""
    given = environment | {"ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": str(most_events)}
    with started(*pipeline.stream_command, "--trigger", trigger, *options, **given) as running:
        job = Job(running)
        try:
            yield job
        finally:
            job.kill()
