"""The driver is killed, hangs, or is started twice: the tables come to what the oracle says, whatever happened."""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.commands import adstream, one_line, started
from tests.e2e.pipeline import Pipeline
from tests.faults.faulty import MIX, ledger, run_faulty, started_faulty


@pytest.mark.parametrize(
    "point",
    [pytest.param("before", marks=pytest.mark.thorough), pytest.param("during", marks=pytest.mark.thorough), "after"],
)
def test_a_batch_that_was_killed_is_counted_once(pipeline: Pipeline, seed: int, point: str) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    killed = run_faulty(pipeline, point, batch=chance.randrange(4), seconds=chance.uniform(0, 0.5))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pipeline.stream_once()
    ledger(pipeline, 4000)


def test_a_driver_that_comes_back_after_its_successor_changes_nothing(pipeline: Pipeline, seed: int) -> None:
    batch = random.Random(seed).randrange(3)
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    with started_faulty(pipeline, "stopped", batch) as old:
        _await_stopped(old)
        line = one_line(adstream(*pipeline.stream_command, "--once"))
        assert f"another driver, process {old.pid}, runs on checkpoint" in line
        # Another machine would not see the lock.
        (pipeline.checkpoint / "adstream.lock").unlink()
        pipeline.stream_once()
        before = ledger(pipeline, 4000)
        old.send_signal(signal.SIGCONT)
        _, errors = old.communicate(timeout=120)
        assert old.returncode == 1
        assert "another driver runs on checkpoint" in errors
        assert ledger(pipeline, 4000) == before
    pipeline.produce("--seed", str(seed + 1), "--count", "500", "--over", "1m")
    pipeline.stream_once()
    ledger(pipeline, 4500)


def _await_stopped(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_new_checkpoint_over_counted_tables_is_refused_until_they_are_reset(pipeline: Pipeline) -> None:
    pipeline.produce("--count", "500", "--over", "1m")
    pipeline.stream_once()
    first = ledger(pipeline, 500)
    other = ("stream", "ad-metrics", "--once", "--checkpoint", str(pipeline.checkpoint.with_name("other")))
    line = one_line(adstream(*other))
    assert f"checkpoint {pipeline.checkpoint} counts {pipeline.settings.topic.ads} into" in line
    assert "adstream reset ad-metrics" in line

    kept = pipeline.checkpoint.with_name("kept")
    shutil.copytree(pipeline.checkpoint, kept)
    for folder in ("offsets", "commits"):
        shutil.rmtree(pipeline.checkpoint / folder)
    assert "has lost its batches" in one_line(adstream(*pipeline.stream_command, "--once"))
    assert "shuffle_partitions=2" in restored(pipeline, kept)
    assert ledger(pipeline, 500) == first

    with started("stream", "ad-metrics", "--checkpoint", str(pipeline.checkpoint)) as running:
        assert running.stdout
        while "reading from" not in running.stdout.readline():
            pass
        assert "another driver" in one_line(adstream("reset", "ad-metrics", "--yes", *checkpoint(pipeline)))
    assert "nobody is there to say yes" in one_line(adstream("reset", "ad-metrics", *checkpoint(pipeline)))
    done = adstream("reset", "ad-metrics", "--yes", *checkpoint(pipeline))
    assert done.returncode == 0, done.stderr
    [aside] = pipeline.checkpoint.parent.glob("checkpoint.before-*")
    line = one_line(adstream("stream", "ad-metrics", "--once", "--checkpoint", str(aside)))
    assert "is from before ad-metrics was reset" in line
    pipeline.stream_once()
    assert ledger(pipeline, 500) == first


def checkpoint(pipeline: Pipeline) -> tuple[str, str]:
    return "--checkpoint", str(pipeline.checkpoint)


def restored(pipeline: Pipeline, kept: Path) -> str:
    """The job from a backup of its checkpoint, with another number of shuffle partitions in the settings."""
    shutil.rmtree(pipeline.checkpoint)
    shutil.copytree(kept, pipeline.checkpoint)
    done = adstream(*pipeline.stream_command, "--once", ADSTREAM_SPARK_SHUFFLE_PARTITIONS="5")
    assert done.returncode == 0, done.stderr
    return done.stdout
