"""Planning a streaming query some times before its plan is needed."""

import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.real_time.rehearsal import Rehearsal

SECONDS = 60


def test_it_plans_as_often_as_asked_and_leaves_the_session_as_it_was(spark: SparkSession) -> None:
    events = spark.readStream.format("rate").load().withWatermark("timestamp", "1 minute").dropDuplicates(["value"])
    rehearsal = Rehearsal(events.groupBy("value").agg(F.count("*")), times=3, pause=0.01)
    deadline = time.monotonic() + SECONDS
    while rehearsal.planned < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    rehearsal.stop()
    assert rehearsal.planned == 3
    assert not spark.streams.active


def test_a_stop_ends_it_at_once(spark: SparkSession) -> None:
    rehearsal = Rehearsal(spark.readStream.format("rate").load(), pause=SECONDS * 60)
    began = time.monotonic()
    rehearsal.stop()
    assert time.monotonic() - began < SECONDS
    assert rehearsal.planned == 0
