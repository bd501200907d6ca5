"""Error alerts: one per window with more errors than the threshold, in whatever order the errors arrive."""

from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from streaming.patterns.error_alerts import error_alerts
from tests.patterns.keyed_runs import CLICK, remembered, shuffled, timers, values
from tests.patterns.pattern_runs import Event, as_batch, as_stream

START = datetime.fromisoformat("2023-07-30T10:00:00+00:00")


def errors(count: int, *, minute: int = 0, event: str = "error") -> list[Event]:
    """Return `count` events in the window that begins at `minute`, the last one just before its end."""
    times = [START + timedelta(minutes=minute, seconds=second) for second in range(count - 1)]
    times.append(START + timedelta(minutes=minute + 15, milliseconds=-1))
    return [("user1", event, time) for time in times]


def window(minute: int, threshold: int = 100) -> tuple[datetime, datetime, int]:
    return START + timedelta(minutes=minute), START + timedelta(minutes=minute + 15), threshold


def test_a_hundred_errors_raise_nothing_one_more_raises_one_alert_as_a_batch(spark: SparkSession) -> None:
    events = errors(100) + errors(101, minute=15) + errors(102, minute=30)
    clicks = errors(500, minute=45, event="click") + errors(5, minute=45, event="Error")
    rows = as_batch(spark, events + clicks, CLICK, error_alerts)
    assert rows[0].__fields__ == ["window_start", "window_end", "threshold"]
    assert sorted(values(row) for row in rows) == [window(15), window(30)]


def test_each_alert_comes_once_over_micro_batches_and_its_state_goes_with_the_window(
    spark: SparkSession, tmp_path: Path
) -> None:
    first = errors(102)
    batches = [first[:60], first[60:100], first[100:101], first[101:], errors(101, minute=30), []]
    rows = as_stream(spark, tmp_path, shuffled(batches), CLICK, error_alerts)
    assert [values(row) for row in rows] == [window(0), window(30)]
    # The watermark is ten minutes behind the last error, and so past the end of the first window only.
    (state,) = remembered(spark, tmp_path).values()
    assert (state["errors"], state["raised"]) == (101, True)
    assert list(timers(spark, tmp_path).values()) == [window(30)[1].timestamp() * 1000]


def test_a_crash_after_the_alert_brings_the_same_alert_and_no_other(spark: SparkSession, tmp_path: Path) -> None:
    first = errors(103)
    rows = as_stream(spark, tmp_path, [first[:50], first[50:102], first[102:]], CLICK, error_alerts, crash_at=1)
    assert [values(row) for row in rows] == [window(0), window(0)]


def test_the_options_set_window_and_threshold(spark: SparkSession) -> None:
    def alerts(clicks: DataFrame) -> DataFrame:
        return error_alerts(clicks, window=timedelta(minutes=30), threshold=2)

    rows = as_batch(spark, errors(1) + errors(2, minute=15), CLICK, alerts)
    assert [values(row) for row in rows] == [(START, START + timedelta(minutes=30), 2)]
