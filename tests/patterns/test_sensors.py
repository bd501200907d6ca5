"""Sensor averages: each window comes out once, complete, and equals plain Python's average of the same readings."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.sensors import sensor_averages, sensor_moving_averages
from tests.patterns.pattern_runs import as_stream
from tests.patterns.sql_figures import READINGS, at, clock

MINUTE = timedelta(minutes=1)
START = at("10:00:00")
CLOSING = [[("s0", 75.0, at("12:00:00"))], []]


@pytest.fixture(scope="module")
def readings() -> list[tuple[Any, ...]]:
    """300 readings of 5 sensors, 3 seconds apart, over 15 minutes."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    return [(f"s{rng.randrange(5)}", rng.uniform(60, 90), START + timedelta(seconds=3 * nth)) for nth in range(300)]


def by_window(
    readings: list[tuple[Any, ...]], starts: list[datetime], length: timedelta
) -> dict[tuple[Any, ...], list[float]]:
    """Return each sensor's temperatures by window, for windows that have some: the oracle."""
    found: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for start in starts:
        for sensor, temperature, time in readings:
            if start <= time < start + length:
                found[sensor, start].append(temperature)
    return found


def test_300_readings_give_every_window_once_and_both_tables_agree_with_plain_python(
    spark: SparkSession, tmp_path: Path, readings: list[tuple[Any, ...]]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # Each event is late by less than 30 seconds, which is the watermark's delay.
    arrived = sorted(readings, key=lambda reading: reading[2] + timedelta(seconds=rng.uniform(0, 29.999)))
    batches = [arrived[nth : nth + 75] for nth in range(0, 300, 75)] + CLOSING
    schema = StructType.fromDDL(READINGS)
    tumbling = as_stream(spark, tmp_path / "tumbling", batches, schema, sensor_averages, output_mode="append")
    sliding = as_stream(spark, tmp_path / "sliding", batches, schema, sensor_moving_averages, output_mode="append")
    for rows, starts in (
        (tumbling, [START + 5 * nth * MINUTE for nth in range(3)]),
        (sliding, [START + nth * MINUTE for nth in range(-4, 15)]),
    ):
        expected = by_window(readings, starts, 5 * MINUTE)
        assert len(rows) == len(expected)
        for row in rows:
            temperatures = expected[row["sensor_id"], row["window_start"].astimezone(UTC)]
            assert row["window_end"] - row["window_start"] == 5 * MINUTE
            assert row["reading_count"] == len(temperatures)
            assert row["avg_temperature"] == pytest.approx(sum(temperatures) / len(temperatures), rel=1e-9)
            if rows is tumbling:
                assert (row["min_temperature"], row["max_temperature"]) == (min(temperatures), max(temperatures))
    assert len(sliding) > len(tumbling)
    assert sum(row["reading_count"] for row in sliding) == 5 * sum(row["reading_count"] for row in tumbling)


def test_a_window_waits_for_the_watermark_takes_readings_till_then_and_none_after(
    spark: SparkSession, tmp_path: Path
) -> None:
    batches = [
        [("s1", 10.0, at("10:00:00")), ("s1", 0.0, at("10:05:29.999"))],
        [],
        # The window ends at 10:05:00. The watermark is half a minute behind and before that end, so this reading
        # counts.
        [("s1", 20.0, at("10:04:59"))],
        [("s1", 0.0, at("10:05:30"))],
        [],
        [("s1", 99.0, at("10:04:59"))],
        [],
    ]
    rows = as_stream(spark, tmp_path, batches, StructType.fromDDL(READINGS), sensor_averages, output_mode="append")
    assert [(clock(row["window_start"]), row["avg_temperature"], row["reading_count"]) for row in rows] == [
        ("10:00:00", 15.0, 2)
    ]
