"""Faults under a job in real-time mode. The totals end right, no offset is missing, and no row goes back."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import kill_tree, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job
from tests.faults.account import Account
from tests.faults.steady import settled, steady_events

# These tests start Spark twice.
pytestmark = pytest.mark.timeout(1_500)


def is_pausing(checkpoint: Path, before: int) -> bool:
    """Return whether the batch after `before` has ended and its commit comes next."""
    return (checkpoint / "offsets" / str(before + 1)).exists()


def kill_in_the_middle(account: Account, job: Job, _pipeline: Pipeline, chance: random.Random) -> None:
    wait = chance.uniform(0.5, 4)
    time.sleep(wait)  # to a random point of a batch
    with account.fault("driver and applying process killed", f"{wait:.2f} s after batch 1"):
        kill_tree(job.pid)


def kill_in_the_pause(account: Account, job: Job, pipeline: Pipeline, _chance: random.Random) -> None:
    last = max(int(file.name) for file in (pipeline.checkpoint / "commits").iterdir() if file.name.isdigit())
    deadline = time.monotonic() + 60
    while not is_pausing(pipeline.checkpoint, last):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    with account.fault("driver and applying process killed", f"batch {last + 1}, between its end and its commit"):
        kill_tree(job.pid)


@pytest.mark.parametrize("fault", [pytest.param(kill_in_the_middle, marks=pytest.mark.thorough), kill_in_the_pause])
def test_a_driver_that_is_killed_goes_on(
    pipeline: Pipeline, account: Account, seed: int, fault: Callable[[Account, Job, Pipeline, random.Random], None]
) -> None:
    with watched(pipeline.settings):
        with steady_events(pipeline, seed), real_time_job(pipeline) as job:
            job.await_line(r"^batch 1 ")
            fault(account, job, pipeline, random.Random(seed))
        with real_time_job(pipeline) as again:
            settled(account, pipeline, again)


@pytest.mark.thorough
def test_a_second_driver_that_no_lock_keeps_away_changes_nothing(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    with watched(pipeline.settings), steady_events(pipeline, seed), real_time_job(pipeline) as old:
        old.await_line(r"^batch 1 ")
        with ExitStack() as successor:
            with account.fault("driver frozen and its lock gone, until a successor has counted", "after batch 1"):
                os.kill(old.pid, signal.SIGSTOP)
                # A driver on another machine would not see the lock.
                (pipeline.checkpoint / "adstream.lock").unlink()
                new = successor.enter_context(real_time_job(pipeline))
                said = new.await_line(r"^batch \d+ ")
                os.kill(old.pid, signal.SIGCONT)
            new.await_line(r"^batch \d+ ", after=said)
    with real_time_job(pipeline) as last:
        settled(account, pipeline, last)
