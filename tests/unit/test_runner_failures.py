"""Counts of consecutive failures, over attempts whose outcome the test prescribes."""

import json
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import JobFailed, SinkError
from streaming.micro_batch.writer import NewWriterSchema
from streaming.monitoring.listener import Listener
from streaming.query.failures import ATTEMPTS
from streaming.query.runner import Runner, _Replayed

FAILED = (0, SinkError("Cassandra is away", "start it"))
FAILURES = [FAILED] * (ATTEMPTS - 1)
ENDED = (0, None)


class Impatient(threading.Event):
    """An event whose `wait` returns at once, so that retries do not pause."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Ended:
    """A query that has ended by a fault, after these reports of triggers."""

    def __init__(self, *reports: dict[str, Any]) -> None:
        kept = [SimpleNamespace(json=partial(json.dumps, each)) for each in reports]
        self._jsq = SimpleNamespace(recentProgress=lambda: kept)

    def awaitTermination(self, _seconds: float) -> bool:  # noqa: N802 - PySpark's name
        return True

    def exception(self) -> Exception:
        return FAILED[1]


def prepared() -> Any:
    """Return a runner with what it needs between two attempts."""
    runner: Any = Runner.__new__(Runner)
    runner._stopping = Impatient()
    runner._listener = Listener(batch=lambda _report: None, notice=lambda _line: None)
    runner._source = type("Source", (), {"name": "ads"})()
    runner._checkpoint = None
    runner._options = type("Options", (), {"checkpoint": "here"})()
    runner._job = type("Job", (), {"name": "ad-metrics"})()
    runner._held_back = None
    return runner


def run(*attempts: tuple[int, Exception | None]) -> int:
    """Run the attempts. Return how many the runner made."""
    left = list(attempts)
    runner = prepared()
    runner._attempt = lambda begun: left.pop(0)
    runner._run()
    return len(attempts) - len(left)


@pytest.mark.parametrize(
    "committed",
    [(1, _Replayed()), (1, NewWriterSchema("schema ids [7]")), (2, FAILED[1])],
    ids=["replayed", "before a new schema", "before a failure"],
)
def test_a_batch_that_commits_resets_the_count(committed: tuple[int, Exception]) -> None:
    again = FAILURES[: ATTEMPTS - 1 - (committed[1] is FAILED[1])]
    assert run(*FAILURES, committed, *again, ENDED) == len(FAILURES) + len(again) + 2


@pytest.mark.parametrize("between", [[], [(0, NewWriterSchema("schema ids [7]"))]], ids=["none", "no commit"])
def test_without_a_commit_the_attempts_end(between: list[tuple[int, Exception]]) -> None:
    with pytest.raises(JobFailed, match=f"failed {ATTEMPTS} times on the same batch"):
        run(*FAILURES, *between, FAILED, ENDED)


@pytest.mark.parametrize("idle", [True, False], ids=["a trigger without data before each", "no trigger"])
def test_faults_of_an_idle_job_add_up_only_if_it_has_not_worked_between_them(idle: bool) -> None:
    reports = [{"batchId": 3, "durationMs": {"latestOffset": 1}}] if idle else []
    runner, starts = prepared(), 0

    def start() -> tuple[Any, Ended]:
        nonlocal starts
        starts += 1
        if starts > 2 * ATTEMPTS:
            runner._stopping.set()
        return SimpleNamespace(error=None, written={}), Ended(*reports)

    runner._start = start
    if idle:
        runner._run()
        assert starts > 2 * ATTEMPTS
    else:
        with pytest.raises(JobFailed, match=f"failed {ATTEMPTS} times on the same batch"):
            runner._run()
