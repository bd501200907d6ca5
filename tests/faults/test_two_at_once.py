"""Two processes are killed at the same moment: the driver, and a service that it writes to or reads from."""

import random
import time

import pytest
from pyspark.sql import SparkSession

from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import kill_tree, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job, running_job
from tests.faults.account import Account
from tests.faults.faulty import await_a_point, settle
from tests.faults.services import killed
from tests.faults.steady import settled, steady_events

# The tests in real time start Spark twice.
pytestmark = pytest.mark.timeout(1_500)


def kill_both(account: Account, pipeline: Pipeline, job: Job, service: str, when: str) -> None:
    """Kill the service and the job's whole family; start the service again."""
    what = f"driver and {service.capitalize()} killed at once"
    with killed(pipeline.settings, service), account.fault(what, when):
        kill_tree(job.pid)


@pytest.mark.parametrize("service", ["cassandra", pytest.param("kafka", marks=pytest.mark.thorough)])
def test_driver_and_a_service_killed_at_once(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int, service: str
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with running_job(pipeline) as job:
        _, when = await_a_point(job, chance)
        kill_both(account, pipeline, job, service, when)
    pipeline.run(spark)
    assert settle(account, pipeline, 6000)["counted"] > 4_000


@pytest.mark.thorough
def test_driver_in_real_time_and_kafka_killed_at_once(pipeline: Pipeline, account: Account, seed: int) -> None:
    """Without Cassandra: a single node loses acknowledged writes of the last moments, so rows go back for a while."""
    wait = random.Random(seed).uniform(0.5, 4)
    with watched(pipeline.settings):
        with steady_events(pipeline, seed), real_time_job(pipeline) as job:
            job.await_line(r"^batch 1 ")
            time.sleep(wait)  # to a random point of a batch
            kill_both(account, pipeline, job, "kafka", f"{wait:.2f} s after batch 1")
        with real_time_job(pipeline) as again:
            assert settled(account, pipeline, again)["counted"] > 700
