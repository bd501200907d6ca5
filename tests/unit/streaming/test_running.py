"""Whether all tasks of a Spark job run, asked of real jobs that wait for a file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from streaming.monitoring.running import all_tasks_run
from tests.waiting import until

SECONDS = 60


def test_all_tasks_run_while_each_has_a_slot_and_not_before_or_after(spark: SparkSession, tmp_path: Path) -> None:
    context = spark.sparkContext
    assert not all_tasks_run(context)
    with waiting_tasks(spark, 1, tmp_path / "end"):
        until(lambda: all_tasks_run(context))
    assert not all_tasks_run(context)


def test_a_job_with_tasks_that_wait_for_a_slot_does_not_run_whole(spark: SparkSession, tmp_path: Path) -> None:
    context = spark.sparkContext
    slots = context.defaultParallelism
    with waiting_tasks(spark, slots + 1, tmp_path / "end"):
        until(lambda: len(list(tmp_path.glob("began-*"))) == slots)
        assert not all_tasks_run(context)


@contextmanager
def waiting_tasks(spark: SparkSession, tasks: int, end: Path) -> Iterator[None]:
    """Run a job whose tasks each make a file, and then wait until the block ends."""
    seconds = SECONDS

    def wait(number: int) -> None:  # Spark's workers do not import this module
        deadline = time.monotonic() + seconds
        end.with_name(f"began-{number}").touch()
        while not end.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    job = threading.Thread(target=spark.sparkContext.parallelize(range(tasks), tasks).foreach, args=(wait,))
    job.start()
    try:
        yield
    finally:
        end.touch()
        job.join(SECONDS)
    assert not job.is_alive()
