"""Late events are counted one by one and by window, whatever Spark's own metric says."""

from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from streaming.job import Job
from streaming.jobs import JOBS
from streaming.late import Late, count_late

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAIN_CLICKS = JOBS["ad-clicks"].with_parameters(dedupe=False)


def late(spark: SparkSession, job: Job, seconds: list[int], watermark: datetime, **columns: str) -> Late:
    """`columns` are the constant ones and, under `time`, the name of the event's time."""
    time = columns.pop("time")
    rows = [(START + timedelta(seconds=each), str(number)) for number, each in enumerate(seconds)]
    events = spark.createDataFrame(rows, f"{time} timestamp, position string")
    return count_late(events, job, int(watermark.timestamp() * 1_000))


def test_an_event_is_late_for_the_windows_that_the_watermark_has_closed(spark: SparkSession) -> None:
    found = late(spark, JOBS["user-clicks"], [5, 5, 30, 60, 119, 120], START + 2 * MINUTE, time="eventtimestamp")
    assert found == Late(5, {START: 3, START + MINUTE: 2})


def test_an_event_in_several_windows_is_one_event(spark: SparkSession) -> None:
    found = late(spark, PLAIN_CLICKS, [20, 31], START + timedelta(seconds=35), time="timestamp")
    # 20 s lies in [0, 30), [10, 40) and [20, 50), of which only the first is closed; 31 s in none that is.
    assert found == Late(1, {START: 1})


def test_an_event_is_late_for_a_session_when_its_gap_is_over(spark: SparkSession) -> None:
    found = late(spark, JOBS["session-windows"], [0, 10, 31], START + timedelta(seconds=40), time="eventtimestamp")
    assert found == Late(2, {})


def test_where_events_are_deduplicated_an_event_behind_the_watermark_is_late_for_all_its_windows(
    spark: SparkSession,
) -> None:
    found = late(spark, JOBS["ad-clicks"], [31, 36], START + timedelta(seconds=35), time="timestamp")
    assert found == Late(1, {START + timedelta(seconds=each): 1 for each in (10, 20, 30)})
