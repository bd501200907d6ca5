"""The disk under the checkpoint is full. The disk is a small file system in memory."""

import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.e2e.commands import MIX, adstream, one_line
from tests.e2e.pipeline import Pipeline
from tests.faults.account import Account
from tests.faults.faulty import in_small_batches, settle


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"only root may mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.thorough
def test_a_full_disk_under_the_checkpoint_stops_the_job_and_loses_nothing(
    spark: SparkSession, pipeline: Pipeline, small_disk: Path, account: Account, seed: int
) -> None:
    pipeline = replace(pipeline, checkpoint=small_disk / "checkpoint")
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    taken = small_disk / "taken"
    size = random.Random(seed).randrange(400_000, 1_000_000)
    with account.fault("disk under the checkpoint full", f"{1_048_576 - size:,} bytes after the start"):
        taken.write_bytes(b"x" * size)
        line = one_line(adstream(*pipeline.stream_command, "--once", **in_small_batches()))
        assert "No space left on device" in line
        taken.unlink()
        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    pipeline.run(spark)
    settle(account, pipeline, 4000)
