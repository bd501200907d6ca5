"""The network between job and Cassandra loses half of its packets."""

import random
import time

import pytest
from pyspark.sql import SparkSession

from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import running_job
from tests.faults.account import Account
from tests.faults.faulty import require_one_line, settle
from tests.faults.lossy_network import half_of_the_packets_lost


@pytest.mark.thorough
def test_half_of_the_packets_between_job_and_cassandra_are_lost(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with running_job(pipeline) as job:
        batch, wait = chance.randrange(3), chance.uniform(0, 0.5)
        said = job.await_line(rf"^batch {batch} ")
        time.sleep(wait)  # to a random point of the next batch
        what, when = "half of the packets from and to Cassandra lost", f"{wait:.2f} s after batch {batch}"
        with half_of_the_packets_lost(pipeline.settings.cassandra.port), account.fault(what, when):
            # Batches come slowly, or fail.
            said = job.await_line(rf"batch failed|^batch {batch + 2} ", after=said, or_end=True)
        job.await_line(r"lag 0\b", after=said, or_end=True)
        require_one_line(job)
    pipeline.run(spark)
    assert settle(account, pipeline, 6000)["counted"] > 4_000
