"""A disk is full: under the checkpoint, under Cassandra, or under Kafka. Each disk is a small file system in memory."""

import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from adstream.verify.ad_metrics import Wish, verify
from stack import local
from stack.cassandra import CASSANDRA
from stack.kafka import KAFKA
from tests.e2e.commands import MIX, adstream, one_line, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.faults.account import Account
from tests.faults.faulty import in_small_batches, require_one_line, settle
from tests.faults.services import killed
from tests.faults.small_disk import full, on_a_small_disk, small_disk

_MIB = 1024 * 1024
_ROOM = 96 * _MIB  # for what a service writes while a test runs


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", _MIB) as disk:
        yield disk


@pytest.mark.thorough
def test_a_full_disk_under_the_checkpoint_stops_the_job_and_loses_nothing(
    spark: SparkSession, pipeline: Pipeline, disk: Path, account: Account, seed: int
) -> None:
    pipeline = replace(pipeline, checkpoint=disk / "checkpoint")
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    taken = disk / "taken"
    left = random.Random(seed).randrange(40_000, 250_000)  # the whole run writes about twice as much
    with account.fault("disk under the checkpoint full", f"{left:,} bytes after the start"):
        taken.write_bytes(b"x" * (_MIB - left))
        line = one_line(adstream(*pipeline.stream_command, "--once", **in_small_batches()))
        assert "No space left on device" in line
        taken.unlink()
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
    pipeline.run(spark)
    settle(account, pipeline, 4000)


@pytest.mark.thorough
def test_a_full_disk_under_cassandra_loses_nothing(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "8000", "--over", "3m", *MIX)
    with on_a_small_disk(pipeline.settings, CASSANDRA, _ROOM) as disk, running_job(pipeline) as job:
        batch, left = chance.randrange(3), chance.randrange(_MIB)
        said = job.await_line(rf"^batch {batch} ")
        with account.fault("disk under Cassandra full", f"{left:,} bytes after batch {batch}"):
            with full(disk, left):
                said = job.await_line(r"batch failed|lag 0\b", after=said, or_end=True)
            restart(pipeline, "cassandra")
        # Cassandra may have had enough room for all events. So it gets more before the job's next words are awaited.
        pipeline.produce("--seed", str(seed + 1), "--count", "300", "--over", "1m")
        job.await_line(r"lag 0\b", after=said, or_end=True)
        require_one_line(job)
        pipeline.run(spark)
        settle(account, pipeline, 8300)


@pytest.mark.thorough
def test_a_full_disk_under_kafka_loses_no_acknowledged_event(
    spark: SparkSession, pipeline: Pipeline, account: Account, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    acknowledged = tmp_path / "acknowledged"
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    sending = ("produce", "ads", "--seed", str(seed), "--count", "4000", "--rate", "400", *MIX)
    with on_a_small_disk(pipeline.settings, KAFKA, _ROOM) as disk, running_job(pipeline) as job:
        job.await_line(r"^batch 0 ")
        with started(*sending, "--acknowledged", str(acknowledged)) as producer:
            job.await_events(1200)  # so the producer is at work
            said = job.await_line("")
            wait, left = chance.uniform(0, 1), chance.randrange(_MIB // 8)
            time.sleep(wait)  # to a random point of a batch
            with account.fault("disk under Kafka full", f"{wait:.2f} s after 1,200 events, and {left:,} bytes later"):
                with full(disk, left):
                    said = job.await_line(r"batch failed", after=said, or_end=True)
                restart(pipeline, "kafka")
            producer.communicate(timeout=SECONDS)
        require_one_line(job)
        pipeline.produce("--seed", str(seed + 1), "--count", "300", "--over", "1m")
        pipeline.run(spark)
        settle(account, pipeline, len(pipeline.messages()))
        found = verify(pipeline.settings, pipeline.checkpoint, Wish(acknowledged=[acknowledged]))
        assert found.equal, found
        sent = len(acknowledged.read_text().splitlines())
        assert sent > 100
        assert found.acknowledged
        assert found.acknowledged.places == sent


def restart(pipeline: Pipeline, service: str) -> None:
    """Start the service again, as an operator does once the disk has room: it has ended, or refuses its clients."""
    if {status.name: status.problem for status in local.status(pipeline.settings)}[service] is None:
        return
    found = local.status(pipeline.settings)
    if any(status.name == service and status.pid is not None for status in found):
        with killed(pipeline.settings, service):
            pass
    else:
        local.up(pipeline.settings)
