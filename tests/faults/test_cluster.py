"""The job runs on a standalone Spark cluster, and one of its executors is killed, or a whole worker."""

import random
import time
from collections.abc import Callable

import psutil
import pytest

from common.settings import Settings
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.e2e.spark_cluster import Cluster, executors_of, spark_cluster
from tests.faults.account import Account
from tests.faults.faulty import settle

Victims = Callable[[Cluster, random.Random], list[psutil.Process]]


def one_executor(cluster: Cluster, chance: random.Random) -> list[psutil.Process]:
    return [chance.choice(cluster.executors())]


def one_worker_with_its_executors(cluster: Cluster, chance: random.Random) -> list[psutil.Process]:
    """Return what runs on one of the workers, as if its machine went away."""
    worker = chance.choice([each for each in cluster.workers() if executors_of(each)])
    return [worker, *executors_of(worker)]


def killed_in_the_middle(pipeline: Pipeline, account: Account, seed: int, what: str, victims: Victims) -> None:
    """Kill these processes at a random point of a batch. The job must go on, and count everything."""
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with spark_cluster(Settings()) as cluster, running_job(pipeline) as job:
        batch, wait = chance.randrange(4), chance.uniform(0, 1)
        said = job.await_line(rf"^batch {batch} ")
        time.sleep(wait)  # to a random point of the next batch
        chosen = victims(cluster, chance)
        with account.fault(what, f"{wait:.2f} s after batch {batch}"):
            for process in chosen:
                process.kill()
            psutil.wait_procs(chosen, SECONDS)
        job.await_line("lag 0 ", after=said)
        code, _, errors = job.end()
        assert code == 0, errors
    settle(account, pipeline, 6000)


@pytest.mark.thorough
def test_an_executor_killed_in_the_middle_of_a_batch(pipeline: Pipeline, account: Account, seed: int) -> None:
    killed_in_the_middle(pipeline, account, seed, "executor killed", one_executor)


@pytest.mark.thorough
def test_a_worker_killed_with_its_executor(pipeline: Pipeline, account: Account, seed: int) -> None:
    killed_in_the_middle(pipeline, account, seed, "worker killed", one_worker_with_its_executors)
