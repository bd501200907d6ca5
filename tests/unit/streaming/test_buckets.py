"""The bucket trick: the same windows as Spark's own, and one all-time bucket."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.patterns.buckets import in_buckets, is_window, sliding_starts

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("window", "slide"),
    [(60 * SECOND, 30 * SECOND), (60 * SECOND, 60 * SECOND), (300 * SECOND, 60 * SECOND), (90 * SECOND, 30 * SECOND)],
)
def test_windows_are_those_of_spark(spark: SparkSession, window: timedelta, slide: timedelta) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    edges = [
        datetime(2026, 1, 1, tzinfo=UTC) + step for step in (-timedelta(microseconds=1), timedelta(0), 30 * SECOND)
    ]
    times = edges + [datetime.fromtimestamp(rng.uniform(-1e9, 4e9), UTC) for _ in range(200)]
    rows = spark.createDataFrame([(number, time) for number, time in enumerate(times)], "id int, event_time timestamp")
    ours = in_buckets(rows, F.col("event_time"), window=window, slide=slide, watermark=SECOND).where(
        is_window(F.col("bucket"))
    )
    theirs = rows.select("id", F.window("event_time", _text(window), _text(slide)).alias("bucket"))
    fields = ("id", "bucket.start", "bucket.end")
    assert set(ours.select(*fields).collect()) == set(theirs.select(*fields).collect())


def test_an_event_has_all_its_windows_and_one_all_time_bucket(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(datetime(2026, 1, 1, tzinfo=UTC),)], "event_time timestamp")
    kinds = (
        in_buckets(rows, F.col("event_time"), window=60 * SECOND, slide=30 * SECOND, watermark=SECOND)
        .groupBy(is_window(F.col("bucket")).alias("window"))
        .count()
        .collect()
    )
    assert {tuple(row) for row in kinds} == {(True, 2), (False, 1)}


def test_the_bucket_carries_event_time_so_that_the_watermark_evicts_it(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(datetime(2026, 1, 1, tzinfo=UTC),)], "event_time timestamp")
    bucketed = in_buckets(rows, F.col("event_time"), window=60 * SECOND, slide=30 * SECOND, watermark=90 * SECOND)
    stream = spark.readStream.format("rate").load()
    theirs = stream.withWatermark("timestamp", "90 seconds").schema["timestamp"].metadata
    assert bucketed.schema["bucket"].metadata == theirs == {"spark.watermarkDelayMs": 90_000}


def test_a_window_that_is_not_a_multiple_of_its_slide_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        sliding_starts(F.lit(None), 60 * SECOND, 50 * SECOND)


def _text(duration: timedelta) -> str:
    return f"{duration // SECOND} seconds"
