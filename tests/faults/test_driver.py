"""The driver is killed, hangs, or runs twice. The tables equal the oracle's in each case."""

import os
import random
import shutil
import signal
import subprocess
import time

import psutil
import pytest
from pyspark.sql import SparkSession

from common.errors import CheckpointError
from streaming.recovery.checkpoint import held
from tests.e2e.commands import MIX, adstream, one_line
from tests.e2e.pipeline import Pipeline
from tests.faults.account import Account
from tests.faults.faulty import ledger, run_faulty, settle, started_faulty


@pytest.mark.parametrize(
    "point",
    [pytest.param("before", marks=pytest.mark.thorough), pytest.param("during", marks=pytest.mark.thorough), "after"],
)
def test_a_batch_that_was_killed_is_counted_once(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int, point: str
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    batch, seconds = chance.randrange(4), chance.uniform(0, 0.5)
    when = f"{seconds:.2f} s into the writing" if point == "during" else f"{point} the writing"
    with account.fault("driver killed", f"batch {batch}, {when}"):
        code, errors = run_faulty(pipeline, point, batch, seconds)
        assert code == -signal.SIGKILL, errors
    pipeline.run(spark)
    settle(account, pipeline, 4000)


def test_a_driver_that_comes_back_after_its_successor_changes_nothing(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    batch = random.Random(seed).randrange(3)
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    what, when = "driver frozen and its lock gone, until a successor has counted", f"batch {batch}, before the writing"
    with started_faulty(pipeline, "stopped", batch) as old:
        with account.fault(what, when):
            _await_stopped(old)
            line = one_line(adstream(*pipeline.stream_command, "--once"))
            assert f"another driver, process {old.pid}, runs on checkpoint" in line
            # A driver on another machine would not see the lock.
            (pipeline.checkpoint / "adstream.lock").unlink()
            pipeline.run(spark)
            before = ledger(pipeline, 4000)
            old.send_signal(signal.SIGCONT)
        _, errors = old.communicate(timeout=120)
        assert old.returncode == 1
        assert "another driver runs on checkpoint" in errors
        assert ledger(pipeline, 4000) == before
    pipeline.produce("--seed", str(seed + 1), "--count", "500", "--over", "1m")
    pipeline.run(spark)
    settle(account, pipeline, 4500)


def _await_stopped(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_new_checkpoint_over_counted_tables_is_refused_until_they_are_reset(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.produce("--count", "500", "--over", "1m")
    pipeline.run(spark)
    first = ledger(pipeline, 500)
    counted = f"checkpoint {pipeline.checkpoint} counts {pipeline.settings.topic.ads} into .*adstream reset ad-metrics"
    with pytest.raises(CheckpointError, match=counted):
        pipeline.run(spark, checkpoint=pipeline.checkpoint.with_name("other"))

    kept = pipeline.checkpoint.with_name("kept")
    shutil.copytree(pipeline.checkpoint, kept)
    for folder in ("offsets", "commits"):
        shutil.rmtree(pipeline.checkpoint / folder)
    with pytest.raises(CheckpointError, match="has lost its batches"):
        pipeline.run(spark)
    shutil.rmtree(pipeline.checkpoint)
    shutil.copytree(kept, pipeline.checkpoint)
    with monkeypatch.context() as other:
        other.setenv("ADSTREAM_SPARK_SHUFFLE_PARTITIONS", "5")
        said = pipeline.run(spark)
    assert any("shuffle_partitions=2, as the checkpoint was made with" in line for line in said)
    assert ledger(pipeline, 500) == first

    reset = ("reset", "ad-metrics", "--checkpoint", str(pipeline.checkpoint))
    with held(str(pipeline.checkpoint)):
        assert f"another driver, process {os.getpid()}, runs on" in one_line(adstream(*reset, "--yes"))
    assert "nobody is there to say yes" in one_line(adstream(*reset))
    done = adstream(*reset, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"in {pipeline.settings.cassandra.where}:" in done.stdout
    [aside] = pipeline.checkpoint.parent.glob("checkpoint.before-*")
    with pytest.raises(CheckpointError, match="is from before ad-metrics was reset"):
        pipeline.run(spark, checkpoint=aside)
    pipeline.run(spark)
    assert ledger(pipeline, 500) == first
