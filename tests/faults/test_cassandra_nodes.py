"""One node of a replicated Cassandra goes down and comes back.

With three replicas the job does not notice. With two it waits. The nodes send each other no hints, so a node that was
down lacks the rows of that time, and reads must be right all the same.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from common.bookkeeping import job_checkpoints
from common.errors import CheckpointError, ServiceUnavailable
from common.settings import Settings
from tests.e2e.applying import Applying, sending
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline, make_ad_tables, prepared
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job, running_job
from tests.e2e.updates import Updates
from tests.faults.account import Account
from tests.faults.applied import settle_applied
from tests.faults.cassandra_nodes import Nodes
from tests.faults.faulty import await_a_point, require_one_line, settle

# Three nodes start, and one of them again. On a busy machine that takes minutes.
pytestmark = pytest.mark.timeout(1_500)
RATE = 300


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), 3)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture
def pipeline(stack: Settings, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with its keyspace on the nodes, in three replicas."""
    return replicated(nodes, 3, monkeypatch, tmp_path)


@pytest.fixture
def two_replicas(stack: Settings, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The same in two replicas: each node has two thirds of the rows."""
    return replicated(nodes, 2, monkeypatch, tmp_path)


def replicated(nodes: Nodes, replicas: int, patch: pytest.MonkeyPatch, folder: Path) -> Pipeline:
    nodes.start()  # the test before may have left one dead
    patch.setenv("ADSTREAM_CASSANDRA_HOSTS", ",".join(nodes.addresses))
    patch.setenv("ADSTREAM_CASSANDRA_PORT", str(nodes.settings.port))
    replication = f"{{'class': 'NetworkTopologyStrategy', 'datacenter1': {replicas}}}"
    patch.setenv("ADSTREAM_CASSANDRA_REPLICATION", replication)
    settings = prepared(patch)
    make_ad_tables(settings)
    return Pipeline(settings, folder / "checkpoint")


def produce(pipeline: Pipeline, seed: int, count: int, ads: int = 12) -> None:
    pipeline.produce("--seed", str(seed), "--count", str(count), "--over", "3m", *MIX, "--ads", str(ads))


def require_no_failure(job: Job) -> None:
    """End the job, which must still run. No batch may have failed."""
    code, lines, errors = job.end()
    assert code == 0, lines + errors
    assert "batch failed" not in lines


def test_a_job_with_three_replicas_does_not_notice_that_a_node_goes_down_and_comes_back(
    nodes: Nodes, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    down, next_down = chance.sample(nodes.addresses, 2)
    produce(pipeline, seed, 2500)
    with running_job(pipeline) as job:
        _, when = await_a_point(job, chance)
        with account.fault("one Cassandra node of three killed", when):
            nodes.kill(down)
        # The node misses these rows. Of most ads it never gets others, which would stand in for them.
        produce(pipeline, seed + 1, 1500, ads=60)
        job.await_events(4000)
        nodes.start(down)
        with account.fault("another node killed", "as soon as the first is back"):
            nodes.kill(next_down)
        produce(pipeline, seed + 2, 1500)
        job.await_events(5500)
        require_no_failure(job)
    # Every read now needs the node that has missed rows, and the only other one.
    nodes.await_noticed(next_down)
    settle(account, pipeline, 5500)


@pytest.mark.thorough
def test_a_job_with_three_replicas_goes_on_while_a_node_hangs(
    nodes: Nodes, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    produce(pipeline, seed, 2500)
    with running_job(pipeline) as job:
        _, when = await_a_point(job, chance)
        hangs = chance.choice(nodes.addresses)
        with account.fault("one Cassandra node of three frozen", when), nodes.frozen(hangs):
            produce(pipeline, seed + 1, 1500)
            job.await_events(4000)
        produce(pipeline, seed + 2, 1500)
        job.await_events(5500)
        require_no_failure(job)
    settle(account, pipeline, 5500)


@pytest.mark.thorough
def test_a_job_with_two_replicas_waits_for_a_node_that_is_down(
    spark: SparkSession, nodes: Nodes, two_replicas: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    down = chance.choice(nodes.addresses)
    produce(two_replicas, seed, 6000)
    with running_job(two_replicas) as job:
        said, when = await_a_point(job, chance)
        with account.fault("one of two replicas killed", when):
            nodes.kill(down)
            said = job.await_line("batch failed", after=said, or_end=True)
        nodes.start(down)
        job.await_line(r"lag 0 ", after=said, or_end=True)
        require_one_line(job)
    two_replicas.run(spark)
    settle(account, two_replicas, 6000)


@pytest.mark.thorough
def test_a_node_that_has_missed_a_reset_lets_no_older_checkpoint_go_on(
    nodes: Nodes, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_CONSISTENCY", "LOCAL_ONE")  # of rows; one node may answer
    settings = Settings().cassandra
    claim = job_checkpoints.Claim("a-job", "a-topic", "an-id", "a/folder", fresh=True)
    older = replace(claim, fresh=False)
    job_checkpoints.take(settings, claim, None)
    assert job_checkpoints.require(settings, older, ()) == "an-id"
    down, *others = nodes.addresses
    nodes.kill(down)
    job_checkpoints.forget(settings, "a-job")
    nodes.start(down)
    with pytest.raises(CheckpointError, match="is from before a-job was reset"):
        job_checkpoints.require(settings, older, ())
    for other in others:
        nodes.kill(other)
    with pytest.raises(ServiceUnavailable):
        job_checkpoints.require(settings, older, ())


@pytest.mark.thorough
def test_applied_rows_do_not_go_back_when_a_node_goes_down_and_comes_back(
    nodes: Nodes, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    down, next_down = chance.sample(nodes.addresses, 2)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as process:
        await_rows(process, 100)
        wait = chance.uniform(0, 0.5)
        time.sleep(wait)  # to a random point of a write
        with account.fault("one Cassandra node of three killed", f"after {wait:.2f} s of writes"):
            nodes.kill(down)
        await_rows(process, 300)
        account.recovered()
        nodes.start(down)
        with account.fault("another node killed", "as soon as the first is back"):
            nodes.kill(next_down)
        await_rows(process, 300)
        account.recovered()
        assert process.end() == (0, "")
        assert not any(told["waiting_for"] for told in process.lines)
        nodes.await_noticed(next_down)
    settle_applied(account, pipeline, updates)


def await_rows(process: Applying, count: int) -> None:
    """Wait until the process has written this many rows more."""
    before = process.told["rows_written"] if process.lines else 0
    process.wait_until(lambda told: told["rows_written"] > before + count)
