"""Rack alerts: three hot readings in a row, by event time, in whatever order a batch holds them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from streaming.patterns.rack_alerts import NORMAL, WARNING, RackAlerts, rack_alerts
from tests.patterns.keyed_runs import READING, remembered, shuffled, timers, values
from tests.patterns.pattern_runs import Event, as_batch, as_stream


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2017-06-02T{clock}+00:00")


CLOCKS = ("08:00", "08:05", "08:10", "08:15")
READINGS = {
    "rack1": (99.5, 100.5, 101.0, 102.0),
    "rack2": (99.5, 105.5, 104.0, 108.0),
    "rack3": (99.5, 99.5, 98.0, 99.75),
}
ALL: list[Event] = [
    (rack, temperatures[n], at(clock)) for n, clock in enumerate(CLOCKS) for rack, temperatures in READINGS.items()
]
COOL = ("rack1", 99.0, at("08:20"))
CHANGES = {
    ("rack1", at("08:15"), WARNING, 102.0, None),
    ("rack2", at("08:15"), WARNING, 108.0, None),
    ("rack1", at("08:20"), NORMAL, 99.0, None),
}


def test_the_figures_as_a_batch_and_as_one_micro_batch(spark: SparkSession, tmp_path: Path) -> None:
    events = [*ALL, COOL]
    rows = as_batch(spark, events, READING, rack_alerts)
    assert rows[0].__fields__ == ["rack", "changed_at", "status", "temperature", "late_rows"]
    assert len(rows) == len(CHANGES)
    assert {values(row) for row in rows} == CHANGES
    streamed = as_stream(spark, tmp_path, shuffled([events]), READING, rack_alerts)
    assert len(streamed) == len(CHANGES)
    assert {values(row) for row in streamed} == CHANGES


def test_the_figures_over_micro_batches_and_a_crash(spark: SparkSession, tmp_path: Path) -> None:
    batches = [ALL[:5], ALL[5:10], ALL[10:], [COOL]]
    rows = as_stream(spark, tmp_path, shuffled(batches), READING, rack_alerts, crash_at=1)
    # The crash comes after the sink has written rack 1's warning. So the warning comes again, as the same row.
    assert [values(row)[:2] for row in rows].count(("rack1", at("08:15"))) == 2
    assert len(rows) == len(CHANGES) + 1
    assert {values(row) for row in rows} == CHANGES
    state = remembered(spark, tmp_path)
    assert {rack: (row["warning"], row["hot"]) for rack, row in state.items()} == {
        "rack1": (False, 0),
        "rack2": (True, 3),
        "rack3": (False, 0),
    }
    assert timers(spark, tmp_path) == {}


def test_a_cool_reading_that_comes_too_late_is_counted_and_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    hot: list[Event] = [("rack1", 100.0, at(clock)) for clock in CLOCKS[:3]]
    batches = [hot[:2], [("rack1", 99.0, at("08:04:59"))], hot[2:], [("rack1", 100.0, at("08:10"))]]
    rows = as_stream(spark, tmp_path, batches, READING, rack_alerts)
    assert [values(row) for row in rows] == [
        ("rack1", None, None, None, 1),
        ("rack1", at("08:10"), WARNING, 100.0, None),
    ]


@pytest.mark.parametrize(
    ("temperatures", "changes"),
    [
        ([100.0, 100.0], []),
        ([100.0, 99.99, 100.0, 100.0], []),
        ([100.0] * 3, [(2, WARNING, 100.0)]),
        ([100.0] * 9, [(2, WARNING, 100.0)]),
        ([99.0] * 9, []),
        ([101.0, 101.0, 102.0, 1.0, 1.0, 100.0], [(2, WARNING, 102.0), (3, NORMAL, 1.0)]),
        (
            [101.0, 102.0, 103.0, 9.0, 104.0, 105.0, 106.0],
            [(2, WARNING, 103.0), (3, NORMAL, 9.0), (6, WARNING, 106.0)],
        ),
    ],
)
def test_only_changes_of_status_come_out(temperatures: list[float], changes: list[tuple[Any, ...]]) -> None:
    rules = RackAlerts(threshold=100, readings=3)
    assert rules.take(None, list(enumerate(temperatures))).emitted == changes
