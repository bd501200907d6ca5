"""Running a small query, and planning the job's own, before the code is needed in a pause."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.real_time.rehearsal import Rehearsal
from tests.waiting import until

STOP_SECONDS = 10


def events(spark: SparkSession) -> DataFrame:
    return spark.readStream.format("rate").load().withWatermark("timestamp", "1 minute").dropDuplicates(["value"])


def no_query_runs(spark: SparkSession) -> bool:
    """Return whether no query runs in any session of this JVM."""
    shared: Any = spark._jsparkSession.sharedState()
    return bool(shared.activeStreamingQueries().isEmpty())


@contextmanager
def rehearsal_of(rows: DataFrame, **options: float) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(rows, **options)  # type: ignore[arg-type]
    try:
        yield rehearsal
    finally:
        rehearsal.stop()


def test_it_runs_and_plans_as_often_as_asked_and_leaves_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    rows = events(spark).groupBy("value").agg(F.count("*"))
    with rehearsal_of(rows, batches=2, plans=3, pause=0.01) as rehearsal:
        until(lambda: rehearsal.planned == 3)
        assert rehearsal.ran >= 2
        assert no_query_runs(spark)
    assert rehearsal.planned == 3
    assert spark.conf.get("spark.sql.shuffle.partitions") == partitions
    assert list(tmp_path.iterdir()) == []


def test_a_stop_ends_it_at_once_also_while_its_query_runs(spark: SparkSession) -> None:
    with rehearsal_of(events(spark), pause=0.01) as rehearsal:
        until(lambda: not no_query_runs(spark))
        began = time.monotonic()
        rehearsal.stop()
        assert time.monotonic() - began < STOP_SECONDS
        until(lambda: no_query_runs(spark))
        assert rehearsal.planned == 0


def test_without_batches_it_only_plans(spark: SparkSession) -> None:
    with rehearsal_of(events(spark), batches=0, plans=1, pause=0.01) as rehearsal:
        until(lambda: rehearsal.planned == 1)
        assert rehearsal.ran == 0
