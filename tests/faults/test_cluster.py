"""The job runs on a standalone Spark cluster, and one of its executors is killed."""

import random
import time

import pytest

from common.settings import Settings
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.e2e.spark_cluster import spark_cluster
from tests.faults.account import Account
from tests.faults.faulty import settle


@pytest.mark.thorough
def test_an_executor_killed_in_the_middle_of_a_batch(pipeline: Pipeline, account: Account, seed: int) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with spark_cluster(Settings()) as cluster, running_job(pipeline) as job:
        batch, wait = chance.randrange(4), chance.uniform(0, 1)
        said = job.await_line(rf"^batch {batch} ")
        time.sleep(wait)  # to a random point of the next batch
        victim = chance.choice(cluster.executors())
        with account.fault("executor killed", f"{wait:.2f} s after batch {batch}"):
            victim.kill()
            victim.wait(SECONDS)
        job.await_line("lag 0 ", after=said)
        code, _, errors = job.end()
        assert code == 0, errors
    settle(account, pipeline, 6000)
