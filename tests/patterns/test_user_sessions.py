"""User sessions: the same in any batching, and equal to a plain cut at the gaps."""

import itertools
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Row, SparkSession

from streaming.patterns.session_windows import session_windows
from streaming.patterns.user_sessions import user_sessions
from tests.patterns.keyed_runs import CLICK, remembered, shuffled, timers, values
from tests.patterns.pattern_runs import Event, as_batch, as_stream, by_key


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2023-07-30T{clock}+00:00")


def click(user: str, clock: str) -> Event:
    return user, "click", at(clock)


BATCHES = [
    [click("user1", "10:00:00")],
    [click("user1", "10:00:20"), click("user2", "10:01:00")],
    [click("user1", "10:01:20"), click("user2", "10:02:00")],
]
ALL = [event for batch in BATCHES for event in batch]
SESSIONS = {
    ("user1", at("10:00:00"), at("10:00:20"), 20.0, 2, None),
    ("user1", at("10:01:20"), at("10:01:20"), 0.0, 1, None),
    ("user2", at("10:01:00"), at("10:01:00"), 0.0, 1, None),
    ("user2", at("10:02:00"), at("10:02:00"), 0.0, 1, None),
}


def table(rows: list[Row]) -> set[tuple[Any, ...]]:
    return {values(row) for row in by_key(rows, "user_id", "session_start").values()}


def test_the_figures_as_a_batch_and_as_one_micro_batch(spark: SparkSession, tmp_path: Path) -> None:
    rows = as_batch(spark, ALL, CLICK, user_sessions)
    assert rows[0].__fields__ == [
        "user_id",
        "session_start",
        "session_end",
        "duration_seconds",
        "events",
        "late_rows",
    ]
    assert len(rows) == 4
    assert table(rows) == SESSIONS
    assert table(as_stream(spark, tmp_path, shuffled([ALL]), CLICK, user_sessions)) == SESSIONS


def test_a_session_grows_over_micro_batches_and_a_crash(spark: SparkSession, tmp_path: Path) -> None:
    rows = as_stream(spark, tmp_path, shuffled(BATCHES), CLICK, user_sessions, crash_at=1)
    grown = [row["events"] for row in rows if row["user_id"] == "user1" and values(row)[1] == at("10:00:00")]
    assert grown == [1, 2, 2]
    assert table(rows) == SESSIONS


def test_exactly_the_gap_is_the_same_session_and_a_late_event_is_counted_and_not_used(
    spark: SparkSession, tmp_path: Path
) -> None:
    batches = [
        [click("exact", "10:00:00"), click("over", "10:00:00")],
        [click("exact", "10:00:30"), click("over", "10:00:30.000001"), click("again", "10:00:10")],
        [click("exact", "10:01:00"), click("exact", "10:00:29"), click("again", "10:00:10")],
        # The watermark is at 10:01:30, the end of the last gap of `exact`. The state has nothing of the first batches.
        [click("new", "10:11:30")],
        [],
    ]
    rows = as_stream(spark, tmp_path, batches, CLICK, user_sessions)
    late = [values(row) for row in rows if row["late_rows"] is not None]
    assert late == [("exact", None, None, None, None, 1)]
    assert table([row for row in rows if row["late_rows"] is None]) == {
        ("exact", at("10:00:00"), at("10:01:00"), 60.0, 3, None),
        ("over", at("10:00:00"), at("10:00:00"), 0.0, 1, None),
        ("over", at("10:00:30.000001"), at("10:00:30.000001"), 0.0, 1, None),
        ("again", at("10:00:10"), at("10:00:10"), 0.0, 2, None),
        ("new", at("10:11:30"), at("10:11:30"), 0.0, 1, None),
    }
    assert remembered(spark, tmp_path).keys() == {"new"}
    assert timers(spark, tmp_path) == {"new": at("10:12:00").timestamp() * 1000}


def test_both_session_jobs_find_what_a_cut_at_the_gaps_finds(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    start = at("10:00:00")
    times = sorted(chance.randrange(400) for _ in range(120))
    events = [(f"user{chance.randrange(3)}", "click", start + timedelta(seconds=second)) for second in times]
    expected = cut_at_gaps(events, timedelta(seconds=30))
    batches = shuffled([events[:50], events[50:]])
    assert {row[:5] for row in table(as_stream(spark, tmp_path / "update", batches, CLICK, user_sessions))} == expected
    # Append waits until the watermark has closed a session. That takes a much later event, and one more batch.
    closed = [*batches, [("closing", "click", start + timedelta(hours=1))], []]
    rows = as_stream(spark, tmp_path / "append", closed, CLICK, session_windows, output_mode="append")
    assert {values(row)[:5] for row in rows} == expected


def cut_at_gaps(events: list[Event], gap: timedelta) -> set[tuple[Any, ...]]:
    found = set()
    for user in {event[0] for event in events}:
        times = sorted(event[2] for event in events if event[0] == user)
        cuts = [0, *(n for n in range(1, len(times)) if times[n] - times[n - 1] > gap), len(times)]
        for first, end in itertools.pairwise(cuts):
            start, last = times[first], times[end - 1]
            found.add((user, start, last, (last - start).total_seconds(), end - first))
    return found
