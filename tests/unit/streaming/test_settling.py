"""Batches of a real-time query after their commit: they count as progress, whatever goes wrong then."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from common.errors import JobFailed, ServiceUnavailable
from streaming.jobs import find
from streaming.monitoring.listener import Listener
from streaming.query.failures import ATTEMPTS
from streaming.query.runner import Runner
from streaming.real_time.runner import RealTimeRunner
from streaming.real_time.settling import Settling
from streaming.recovery.checkpoint import Checkpoint
from tests.unit.test_runner_failures import Impatient

JOB = find("ad-metrics")


def folder_with_commits(checkpoint: Path, last: int) -> None:
    """Make the files that Spark writes for the batches 0 to `last`."""
    for folder in ("offsets", "commits"):
        (checkpoint / folder).mkdir(exist_ok=True)
        for number in range(last + 1):
            (checkpoint / folder / str(number)).write_text("v1", encoding="utf-8")


def settling_of(checkpoint: Checkpoint) -> Settling:
    late: Any = None
    return Settling(
        JOB,
        checkpoint,
        late,
        judged_again=lambda _batch_id: None,
        publish=lambda _dead: None,
        timestamps=lambda: 1,
        ends=lambda _topic: {},
    )


class Running:
    """A query that runs until it is stopped."""

    def awaitTermination(self, _seconds: float) -> bool:  # noqa: N802 - PySpark's name
        return False

    def exception(self) -> None:
        return None

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("commits", [True, False], ids=["a commit before each error", "no commit"])
def test_errors_end_a_real_time_job_only_without_a_commit_between_them(
    spark: SparkSession, tmp_path: Path, commits: bool
) -> None:
    folder_with_commits(tmp_path, 2)
    checkpoint = Checkpoint(spark, str(tmp_path))
    runner: Any = RealTimeRunner.__new__(RealTimeRunner)
    runner._stopping, runner._checkpoint, runner._job, runner._log = Impatient(), checkpoint, JOB, None
    runner._listener = Listener(batch=lambda _report: None, notice=lambda _line: None)
    runner._source = type("Source", (), {"name": "ads"})()
    runner._options = type("Options", (), {"checkpoint": str(tmp_path), "once": False})()
    runner._held_back = None
    starts = 0

    def start() -> tuple[Settling, Running]:
        nonlocal starts
        starts += 1
        if starts > 2 * ATTEMPTS:
            runner._stopping.set()
        runner._settling = settling_of(checkpoint)
        runner._settling.catch_up()
        return runner._settling, Running()

    def polled(_query: Running) -> None:
        if commits:
            folder_with_commits(tmp_path, 2 + starts)
        raise ServiceUnavailable("Kafka is away", "start it")

    runner._start, runner._polled = start, polled
    if commits:
        Runner._run(runner)
        assert starts > ATTEMPTS
    else:
        with pytest.raises(JobFailed, match=f"failed {ATTEMPTS} times on the same batch"):
            Runner._run(runner)
