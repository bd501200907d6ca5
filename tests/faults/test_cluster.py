"""The job runs on a standalone Spark cluster, and one of its executors is killed."""

import random
import time

import pytest

from common.settings import Settings
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.e2e.spark_cluster import spark_cluster
from tests.faults.faulty import ledger


@pytest.mark.thorough
def test_an_executor_killed_in_the_middle_of_a_batch(pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with spark_cluster(Settings()) as cluster, running_job(pipeline) as job:
        said = job.await_line(rf"^batch {chance.randrange(4)} ")
        time.sleep(chance.uniform(0, 1))  # to a random point of the next batch
        victim = chance.choice(cluster.executors())
        victim.kill()
        victim.wait(SECONDS)
        job.await_line("lag 0 ", after=said)
        code, _, errors = job.end()
        assert code == 0, errors
    ledger(pipeline, 6000)
