"""Somebody sets the clock of the job's machine, by an hour. The clocks of the services stay right."""

import json
import random
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job, running_job
from tests.faults.account import Account
from tests.faults.faulty import await_a_point, settle
from tests.faults.shifted_clock import ShiftedClock, shifted_clock
from tests.faults.steady import settled, steady_events

HOUR = 3_600
BEFORE = 3_000
SET_BACK = r"the clock of this machine went back by 3,[56]\d\d s: starting the query again"


@pytest.fixture
def clock(tmp_path: Path) -> ShiftedClock:
    return shifted_clock(tmp_path)


def counted_with_clock(pipeline: Pipeline, job: Job, seed: int, hours: int) -> int:
    """Send events until Spark's own clock is seen to be wrong in a batch. Returns how many events were sent.

    Spark writes down when a batch began, by its clock.
    """
    sent, deadline = 0, time.monotonic() + 120
    while True:
        pipeline.produce("--seed", str(seed + sent), "--count", "300", "--over", "1m")
        sent += 300
        job.await_events(BEFORE + sent)
        newest = max(int(file.name) for file in (pipeline.checkpoint / "offsets").iterdir() if file.name.isdigit())
        text = (pipeline.checkpoint / "offsets" / str(newest)).read_text(encoding="utf-8")
        wrong_by = json.loads(text.splitlines()[1])["batchTimestampMs"] / 1_000 - time.time()
        if abs(wrong_by - hours * HOUR) < HOUR / 10:
            return sent
        assert time.monotonic() < deadline, f"Spark's clock is wrong by {wrong_by:.0f} s"


@pytest.mark.parametrize("hours", [-1, pytest.param(1, marks=pytest.mark.thorough)], ids=["back", "forward"])
def test_the_clock_of_a_job_is_set_by_an_hour(
    spark: SparkSession, pipeline: Pipeline, account: Account, clock: ShiftedClock, seed: int, hours: int
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", str(BEFORE), "--over", "3m", *MIX)
    with running_job(pipeline, **clock.environment) as job:
        said, when = await_a_point(job, chance)
        what = f"clock of the job's machine set {'back' if hours < 0 else 'forward'} by an hour"
        with account.fault(what, when):
            clock.set_by(hours * HOUR)
        if hours < 0:
            said = job.await_line(SET_BACK, after=said)
        sent = BEFORE + counted_with_clock(pipeline, job, seed + 1, hours)
        code, lines, errors = job.end()
        assert code == 0, lines + errors
    settle(account, pipeline, sent)
    pipeline.produce("--seed", str(seed + 2), "--count", "300", "--over", "1m")
    pipeline.run(spark)  # by the right clock
    settle(account, pipeline, sent + 300)


@pytest.mark.thorough
def test_the_clock_of_a_real_time_job_is_set_back_by_an_hour(
    pipeline: Pipeline, account: Account, clock: ShiftedClock, seed: int
) -> None:
    wait = random.Random(seed).uniform(0, 5)
    with watched(pipeline.settings), real_time_job(pipeline, **clock.environment) as job:
        with steady_events(pipeline, seed):
            said = job.await_line(r"^batch 1 ")
            time.sleep(wait)  # to a random point of a batch
            with account.fault("clock of the job's machine set back by an hour", f"{wait:.2f} s after batch 1"):
                clock.set_by(-HOUR)
            said = job.await_line(SET_BACK, after=said)
            job.await_line(r"^batch \d+ ", after=said)
        settled(account, pipeline, job)
