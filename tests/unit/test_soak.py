"""The soak judges its series, and reads the figures of a real-time job."""

from pathlib import Path

import pytest

from benchmarks import page, soak
from benchmarks.soaking import results
from benchmarks.soaking.real_time import Ages, WatchedInRealTime
from benchmarks.soaking.series import (
    AGE,
    BATCH_TIME,
    BEYOND,
    DISK,
    HALF,
    MEMORY,
    MOST,
    PER_ID,
    PROCESSORS,
    WAITING,
    Judged,
    Limit,
    Sample,
    growth,
    judge,
)
from streaming.apply.freshness import BOUNDS


def test_a_series_grows_by_the_line_through_its_second_half() -> None:
    times = [float(minute) for minute in range(21)]
    falls_then_grows = [100.0 - minute for minute in range(10)] + [100.0 + 2 * minute for minute in range(11)]
    mean, grown = growth(times, falls_then_grows)
    assert mean == pytest.approx(110.0)
    assert grown == pytest.approx(20.0 / 110.0)


def test_what_swings_and_does_not_grow_is_flat() -> None:
    times = [float(minute) for minute in range(400)]
    assert abs(growth(times, [50.0 + 40.0 * (minute % 2) for minute in range(400)])[1]) < 0.01


def test_one_look_does_not_grow() -> None:
    assert growth([0.0], [5.0]) == (5.0, 0.0)


def test_a_leak_is_not_flat_and_what_falls_is() -> None:
    minutes = [float(minute) for minute in range(21)]

    def look(minute: float) -> Sample:
        grows, falls = {"leak": 100.0 + 10 * minute}, {BATCH_TIME: 100.0 - minute}
        return {MEMORY: grows, BATCH_TIME: falls, DISK: grows}

    judged = {each.name: each.flat for each in judge(minutes, [look(minute) for minute in minutes])}
    # Disk has no limit: it is only shown.
    assert judged == {"memory, MiB: leak": False, BATCH_TIME: True, "disk, MiB: leak": True}


@pytest.mark.parametrize(
    ("mean", "grown", "flat"),
    [
        (10.0, 0.25, True),
        (10.0, 0.26, False),
        (0.5, 0.9, True),  # it grew by 0.45, less than 0.5
        (0.5, 1.1, False),
        (20.0, -0.5, True),
        (20.1, -0.5, False),  # it falls, and is too large all the same
    ],
)
def test_a_small_growth_is_flat_and_a_large_mean_is_not(mean: float, grown: float, flat: bool) -> None:
    assert Judged("it", mean, grown, Limit(0.25, least=0.5, most=20.0)).flat is flat


def test_each_percentile_of_the_age_has_a_limit_of_its_own() -> None:
    minutes = [0.0, 1.0, 2.0]
    slow: list[Sample] = [{AGE: {HALF: 1.5, MOST: 1.5}, WAITING: {WAITING: 0.0}, BEYOND: {BEYOND: 9.0}}] * 3
    judged = {each.name: each.flat for each in judge(minutes, slow)}
    assert judged == {f"{AGE}: {HALF}": False, f"{AGE}: {MOST}": True, WAITING: True, BEYOND: True}


def test_a_bound_is_told_in_a_line() -> None:
    assert str(Limit(0.1)) == "10%"
    assert str(Limit(0.25, least=3_000.0, most=5.0)) == "25% or 3,000; mean 5"
    assert results.line(Judged("it", 0.126, 0.5, None)) == ("it", "0.13", "+50.0%", "-", "-")


def applied(*counts: int) -> dict[str, object]:
    """Return figures of the applying process with so many rows in the first buckets."""
    upto, buckets = 0, {}
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], [*counts, *[0] * len(BOUNDS)], strict=False):
        buckets[bound] = upto = upto + count
    return {"event_to_row_seconds": {"buckets": buckets}}


def test_the_age_of_rows_is_of_those_since_the_last_look() -> None:
    ages = Ages()
    assert ages.since({}) == {HALF: 0.0, MOST: 0.0}
    assert ages.since(applied(100)) == pytest.approx({HALF: 0.005, MOST: 0.0099})
    # A hundred further rows are in the second bucket: 10 to 25 milliseconds.
    assert ages.since(applied(100, 100)) == pytest.approx({HALF: 0.0175, MOST: 0.02485})
    assert ages.since(applied(100, 100)) == pytest.approx({HALF: 0.0175, MOST: 0.02485}), "no row came"


def test_a_new_applying_process_counts_from_zero() -> None:
    ages = Ages()
    ages.since(applied(0, 500))
    assert ages.since(applied(100)) == pytest.approx({HALF: 0.005, MOST: 0.0099})


def test_a_soak_that_left_messages_uncounted_says_how_many() -> None:
    ledger = {"offsets": 10, "fates": {"counted": 9, "late": 1}, "unexplained": 0}
    found = {"ledger": ledger, "cells": 4, "rows_different": 0, "not_proved": None}
    said = "`adstream verify`, 10 offsets: 9 counted, 1 late, 0 unexplained; 4 cells, 0 rows differ."
    assert results.verified(found, 0) == said
    assert results.verified(found, 3) == f"{said} 3 messages were not counted."
    assert results.verified(None, 0) == "Not verified: it ended early."
    assert results.verified({"equal": False}, 0) == "`adstream verify` failed."


def test_the_results_in_real_time_go_to_their_own_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    part = "<!-- soak-real-time: begin -->\nold\n<!-- soak-real-time: end -->\n"
    (tmp_path / "real-time.md").write_text(part, encoding="utf-8")
    panels = (*WatchedInRealTime.panels, PER_ID)
    samples: list[Sample] = [{panel: {panel: 1.0 * number} for panel in panels} for number in range(3)]
    place = results.Place("soak-real-time", "real-time.md", soak.SHOWS_IN_REAL_TIME, WatchedInRealTime.panels)
    minutes = [0.0, 1.0, 2.0]
    results.report(place, minutes, samples, judge(minutes, samples), None, ["The load."])
    text = (tmp_path / "real-time.md").read_text(encoding="utf-8")
    assert "The load." in text
    assert f"| {WAITING} | 1.50 | +66.7% | 25% or 3,000 | yes |" in text
    assert f"| {PROCESSORS} | 1.50 | +66.7% | - | - |" in text
    assert (tmp_path / "images" / "soak-real-time.png").stat().st_size > 1_000
    assert (tmp_path / "results" / "soak-real-time.json").exists()
