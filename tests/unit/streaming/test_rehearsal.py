"""Running a small query, and planning the job's own, before the code is needed in a pause."""

import time
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.real_time.rehearsal import Rehearsal

SECONDS = 60


def events(spark: SparkSession) -> DataFrame:
    return spark.readStream.format("rate").load().withWatermark("timestamp", "1 minute").dropDuplicates(["value"])


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def no_query_runs(spark: SparkSession) -> bool:
    """Return whether no query runs in any session of this JVM."""
    shared: Any = spark._jsparkSession.sharedState()
    return bool(shared.activeStreamingQueries().isEmpty())


def test_it_runs_and_plans_as_often_as_asked_and_leaves_the_session_as_it_was(spark: SparkSession) -> None:
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    rehearsal = Rehearsal(events(spark).groupBy("value").agg(F.count("*")), batches=2, plans=3, pause=0.01)
    wait_until(lambda: rehearsal.planned == 3)
    assert rehearsal.ran >= 2
    rehearsal.stop()
    assert rehearsal.planned == 3
    assert no_query_runs(spark)
    assert spark.conf.get("spark.sql.shuffle.partitions") == partitions


def test_a_stop_ends_it_at_once_also_while_its_query_runs(spark: SparkSession) -> None:
    rehearsal = Rehearsal(events(spark), pause=SECONDS * 60)
    wait_until(lambda: not no_query_runs(spark))
    began = time.monotonic()
    rehearsal.stop()
    assert time.monotonic() - began < SECONDS
    assert rehearsal.planned == 0
    assert no_query_runs(spark)
