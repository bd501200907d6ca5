"""The plan of `make day`, and the comparison of its tables with what was sent."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from benchmarks import day, page
from benchmarks.days import results
from benchmarks.days.book import Book, Key, Sums, fates_that_differ, hours, problems
from benchmarks.days.plan import (
    DAY_MINUTES,
    DEPLOY_MINUTE,
    HOUR_MS,
    MINUTE_MS,
    PARTS,
    SCHEMA_MINUTE,
    Part,
    Plan,
    clock_change,
    moment,
    planned,
    starts_of,
)
from benchmarks.days.sender import Span
from common.errors import ConfigError
from producer.events import SOURCES
from producer.records import Record
from producer.traffic import Mix

BERLIN = ZoneInfo("Europe/Berlin")
OCTOBER, MARCH = date(2026, 10, 25), date(2026, 3, 29)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
PLAN = Plan(OCTOBER, 40)


def test_the_parts_are_a_whole_day_with_an_idle_night_and_a_burst_of_ten_times_the_rate() -> None:
    begins = [part.begin for part in PARTS]
    assert begins == sorted(begins)
    assert begins[0] == 0
    assert {part.load for part in PARTS} >= {0.0, 1.0, 10.0}
    # Both happen while events come.
    assert PLAN.in_minute(SCHEMA_MINUTE) == PLAN.in_minute(DEPLOY_MINUTE) == 40


def test_the_clock_changes_while_events_come() -> None:
    for day_of_change in (OCTOBER, MARCH):
        assert all(Plan(day_of_change, 100).in_minute(minute) for minute in range(120))


def test_messages_are_spread_over_their_minute_and_the_day() -> None:
    plan = Plan(OCTOBER, 4, (Part(0, 0.5, "a"), Part(1, 0.0, "idle"), Part(3, 1.0, "b")))
    assert plan.messages == 2 + 4 * (DAY_MINUTES - 3)
    begin = plan.begin
    assert [plan.at(position) - begin for position in range(6)] == [0, 30_000, 180_000, 195_000, 210_000, 225_000]
    assert (plan.first(0), plan.first(1), plan.first(3)) == (0, 2, 2)
    assert plan.at(plan.messages - 1) == plan.end - 15_000


def test_times_never_go_back_and_each_is_within_the_day() -> None:
    times = [PLAN.at(position) for position in range(0, PLAN.messages, 7)]
    assert times == sorted(times)
    assert PLAN.begin <= times[0]
    assert times[-1] < PLAN.end


def test_a_window_must_exist_where_its_minute_has_events() -> None:
    plan = Plan(OCTOBER, 100, (Part(0, 0.0, "idle"), Part(60, 1.0, "one minute"), Part(61, 0.0, "idle")))
    begin = plan.begin + 60 * MINUTE_MS
    assert plan.starts() == [begin - 30_000, begin, begin + 30_000]


def test_the_planned_windows_are_those_of_the_events() -> None:
    sent = {start for position in range(PLAN.messages) for start in starts_of(PLAN.at(position))}
    assert sorted(sent) == PLAN.starts()


def test_an_hour_with_events_has_120_windows_and_an_idle_one_none_whatever_the_clock_on_the_wall_does() -> None:
    for plan in (PLAN, Plan(MARCH, 100)):
        by_hour = {each.hour: each.planned for each in hours(plan, {}, {})}
        before, *of_the_day = [by_hour[hour] for hour in sorted(by_hour)]
        assert before == 1  # it begins half a minute before the day
        assert len(of_the_day) == 24
        assert of_the_day[:2] == [120, 120]
        assert of_the_day[2:5] == [0, 0, 1]  # the last one begins half a minute before the morning
        assert of_the_day[5:] == [120] * 19


def test_a_moment_is_in_two_windows() -> None:
    assert [moment(start).second for start in starts_of(PLAN.begin + 59_999)] == [30, 0]
    assert list(starts_of(PLAN.begin)) == [PLAN.begin, PLAN.begin - 30_000]


def test_the_rate_is_by_the_clock_of_the_one_who_watches() -> None:
    # 24 hours in one: a minute of the day takes two and a half seconds.
    assert planned(OCTOBER, 500, 60, NOW).usual == 1_250
    assert planned(OCTOBER, 500, 6, NOW).usual == 125


def test_a_day_that_is_not_over_is_refused() -> None:
    with pytest.raises(ConfigError, match="2026-12-01 is not over yet"):
        planned(NOW.date(), 500, 60, NOW + timedelta(hours=23))
    assert planned(NOW.date(), 500, 60, NOW + timedelta(hours=24)).date == NOW.date()


def test_a_rate_that_may_leave_a_window_empty_is_refused_with_one_that_does_not() -> None:
    with pytest.raises(ConfigError, match="give --rate 160") as refused:
        planned(OCTOBER, 150, 6, NOW)
    assert planned(OCTOBER, int(refused.value.remedy.split()[-1]), 6, NOW).messages


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (OCTOBER, "at 01:00 UTC the clock in Europe/Berlin goes from 02:59:59 to 02:00"),
        (MARCH, "at 01:00 UTC the clock in Europe/Berlin goes from 01:59:59 to 03:00"),
        (date(2026, 10, 26), ""),
    ],
)
def test_the_change_of_the_clock_is_told(when: date, said: str) -> None:
    assert clock_change(when, BERLIN) == said


def record(seconds: float = 0.0, *, kind: str = "on_time", ago: float = 0.0, **values: object) -> Record:
    """Return a message of ad-1 that arrives so many seconds after midnight, with an event `ago` seconds before."""
    stamp = PLAN.begin + int(seconds * 1_000)
    event = {"ad_id": "ad-1", "timestamp": stamp - int(ago * 1_000), "clicks": 1, "views": 2, "cost": 0.0101}
    return Record("ad-1", event | values, kind, stamp=stamp)


@pytest.mark.parametrize(
    ("message", "has_id", "fate"),
    [
        (record(), True, "counted"),
        (record(ago=600), True, "counted"),
        (record(ago=600.001), True, "late"),
        (record(kind="duplicate"), True, "duplicate"),
        (record(kind="duplicate"), False, "counted"),  # version 1 has no id, so it counts again
        (record(kind="duplicate", ago=601), True, "late"),
        (record(kind="clicks_negative"), True, "dead"),
        (record()._replace(kind="short", spoil=lambda good: good[:1]), True, "dead"),
    ],
)
def test_a_message_has_one_fate(message: Record, has_id: bool, fate: str) -> None:
    book = Book()
    book.note(message, has_id=has_id)
    assert book.fates == {fate: 1}
    assert bool(book.windows) is (fate == "counted")


def test_the_book_adds_up_what_counts_in_both_windows() -> None:
    book = Book()
    for seconds in (0, 29, 31):
        book.note(record(seconds), has_id=True)
    book.note(record(31, kind="duplicate"), has_id=True)
    begin = PLAN.begin
    one = (1, 2, 10_100)
    assert book.windows == {
        ("ad-1", begin - 30_000): (2, 4, 20_200),
        ("ad-1", begin): (3, 6, 30_300),
        ("ad-1", begin + 30_000): one,
    }


@pytest.fixture(scope="module")
def sent() -> dict[Key, Sums]:
    """The windows of a day, noted as the sender does it."""
    book, records = (
        Book(),
        SOURCES["ads"].records(7, Mix(keys=3, late=0.05, duplicates=0.05, broken=0.05), Span(PLAN, 0)),
    )
    for position, each in zip(range(PLAN.messages), records, strict=False):
        book.note(each._replace(stamp=PLAN.at(position)), has_id=True)
    assert set(book.fates) == {"counted", "late", "duplicate", "dead"}
    return book.windows


def test_a_right_table_has_no_problems(sent: dict[Key, Sums]) -> None:
    assert problems(PLAN, sent, dict(sent)) == []
    assert all(each.right for each in hours(PLAN, sent, sent))


def test_a_window_that_is_missing_is_named(sent: dict[Key, Sums]) -> None:
    lost = PLAN.begin + 3 * HOUR_MS // 2
    found = {key: sums for key, sums in sent.items() if key[1] != lost}
    ads = len(sent) - len(found)
    assert problems(PLAN, sent, found)[0] == "1 planned windows have no row: 2026-10-25T01:30:00Z"
    assert problems(PLAN, sent, found)[1].startswith(f"{ads} rows are missing: ad-001 2026-10-25T01:30:00Z, ")
    (wrong,) = [each for each in hours(PLAN, sent, found) if not each.right]
    assert (moment(wrong.hour).hour, wrong.planned, wrong.windows) == (1, 120, 119)


def test_windows_shifted_by_the_clock_on_the_wall_are_found(sent: dict[Key, Sums]) -> None:
    # As if local times had been taken for UTC: two hours until the clock changes, and then one.
    change = PLAN.begin + HOUR_MS
    found = {(ad, start + (2 if start < change else 1) * HOUR_MS): sums for (ad, start), sums in sent.items()}
    told = problems(PLAN, sent, found)
    assert told[0].startswith("360 planned windows have no row: 2026-10-24T23:59:30Z, ")
    assert told[1].startswith("240 windows must not exist by the plan: ")


def test_a_row_with_other_sums_is_found(sent: dict[Key, Sums]) -> None:
    key = ("ad-002", PLAN.begin + 12 * HOUR_MS)
    clicks, views, micros = sent[key]
    found = sent | {key: (clicks, views, 2 * micros)}
    assert problems(PLAN, sent, found) == ["1 rows have other sums than were sent: ad-002 2026-10-25T12:00:00Z"]
    assert [each.differing for each in hours(PLAN, sent, found) if not each.right] == [1]


def test_a_fate_that_the_ledger_counts_otherwise_is_told() -> None:
    sent_as = {"counted": 90, "late": 3}
    assert fates_that_differ(sent_as, {"counted": 90, "late": 3, "not_a_message": 0}) == []
    told = fates_that_differ(sent_as, {"counted": 92, "late": 1, "not_a_message": 1})
    assert told == [
        "92 messages are counted, must be 90",
        "1 messages are late, must be 3",
        "1 messages are not a message, must be 0",
    ]


def test_what_verify_finds_is_told_beside_the_fates() -> None:
    ledger = {"fates": {"counted": 2}, "unexplained": 1}
    found = {"problems": ["1 offsets are unexplained"], "ledger": ledger}
    assert day.unverified(found, {"counted": 2}) == ["1 offsets are unexplained"]
    assert day.unverified({}, {"counted": 2}) == ["`adstream verify` failed"]


def test_a_date_or_a_zone_that_is_none_is_answered_in_a_line() -> None:
    with pytest.raises(ConfigError, match="--date 2026-13-01 is not a day; give one like 2026-10-25"):
        day.date_of("2026-13-01")
    with pytest.raises(ConfigError, match="there is no time zone Europe/Bern; give one like Europe/Berlin"):
        day.in_zone("Europe/Bern")


def test_the_results_of_a_day_are_a_line_and_a_plot(
    sent: dict[Key, Sums], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    (tmp_path / "guarantees.md").write_text("<!-- day: begin -->\nold\n<!-- day: end -->\n", encoding="utf-8")
    ledger = {"offsets": 1_000, "fates": {"counted": 990, "late": 10}, "unexplained": 0}
    verified = {"ledger": ledger, "cells": 4_000, "rows_different": 0}
    waited = [results.Waited(PLAN.begin, 0), results.Waited(PLAN.begin + HOUR_MS, 700)]
    found = hours(PLAN, sent, sent)
    done = results.Day(
        PLAN, BERLIN.key, "", 60, "A load.", "the same code", 3.4, 21.0, found, verified, waited, [], "A machine."
    )
    wrong = replace(done, plan=Plan(MARCH, 40), wrong=["1 planned windows have no row"])
    results.write(wrong)
    results.write(replace(done, wrong=["replaced by the next replay of the day"]))
    results.write(done)
    assert results.kept() == [wrong, done]
    text = (tmp_path / "guarantees.md").read_text(encoding="utf-8")
    assert "2026-10-25: 24 hours of event time in 60 minutes, 24 times as fast. A load. The clock in" in text
    assert text.count("A machine.") == 2
    rows = f"{len(sent):,}"
    assert f"| 2026-10-25 | 2,522 | 2,522 | {rows} | {rows} | 0 | 1,000 | 0 | 4,000 | 0 | 3 and 21 | yes |" in text
    assert "| 3 and 21 | no |" in text
    assert "`adstream verify`, 1,000 offsets: 990 counted, 10 late, 0 unexplained." in text
    runs = json.loads((tmp_path / "results" / "day.json").read_text(encoding="utf-8"))["runs"]
    assert [run["date"] for run in runs] == ["2026-03-29", "2026-10-25"]
    assert sum(hour["windows"] for hour in runs[1]["hours"]) == 2_522
    assert (tmp_path / "images" / "day.png").stat().st_size > 1_000
