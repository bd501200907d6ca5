"""ad-metrics in real-time mode beside the test, and a reader that watches its totals."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import psutil
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from adstream.cassandra import connect
from adstream.errors import AdstreamError
from adstream.settings import Settings
from tests.e2e.commands import started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import Job

# The shortest that Spark takes.
TRIGGER = "5s"
_POLL_SECONDS = 0.05


@contextmanager
def real_time_job(pipeline: Pipeline, *options: str, trigger: str = TRIGGER, **environment: str) -> Iterator[Job]:
    """Until the block ends; then its whole family is gone."""
    command = (*pipeline.stream_command, "--real-time", "--trigger", trigger, *options)
    with started(*command, **environment) as running:
        job = Job(running)
        try:
            yield job
        finally:
            kill_tree(running.pid)
            job.kill()


def kill_tree(pid: int) -> None:
    """As `kill -9` of the driver, its JVM and its applying process at once."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def applying_process(pid: int) -> psutil.Process:
    """The driver's child that applies the rows."""
    [found] = [each for each in psutil.Process(pid).children() if "apply" in each.cmdline()]
    return found


class Reader:
    """Reads all totals again and again, and notes every one that is less than it was: a row went back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ended = threading.Event()
        self._seen: dict[str, tuple[int, int, int, Decimal]] = {}
        self.went_back: list[str] = []
        self.polls = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(120)
        assert not self._thread.is_alive()
        assert self.polls > 10
        assert not self.went_back, self.went_back[:10]

    def _read(self) -> None:
        while not self._ended.is_set():
            try:
                self._poll_while_it_answers()
            except (AdstreamError, DriverException, NoHostAvailable):
                time.sleep(_POLL_SECONDS)  # a fault of Cassandra's own

    def _poll_while_it_answers(self) -> None:
        with connect(self._settings.cassandra, keyspace=self._settings.cassandra.keyspace) as session:
            query = "SELECT ad_id, writetime(total_clicks) AS v, total_clicks, total_views, total_cost FROM ad_metrics"
            while not self._ended.is_set():
                for row in session.execute(query, timeout=5):
                    now = (row.v, row.total_clicks, row.total_views, row.total_cost)
                    before = self._seen.get(row.ad_id, now)
                    if any(new < old for new, old in zip(now, before, strict=True)):
                        self.went_back.append(f"{row.ad_id}: {before} -> {now}")
                    self._seen[row.ad_id] = now
                self.polls += 1
                time.sleep(_POLL_SECONDS)


def await_total(settings: Settings, ad_id: str, seconds: float = 60) -> float:
    """Wait until the ad has a total; returns the seconds that took."""
    began = time.monotonic()
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        query = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id = ?")
        while not session.execute(query, (ad_id,)).one():
            assert time.monotonic() < began + seconds, f"{ad_id} has no total"
            time.sleep(0.01)
    return time.monotonic() - began
