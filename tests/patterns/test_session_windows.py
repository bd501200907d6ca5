"""Sessions by Spark's session window: their ends, their merging, and a comparison with plain Python."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.session_windows import GAP, session_windows
from tests.patterns.pattern_runs import as_batch, as_stream
from tests.patterns.sql_figures import CLICKS, at

MILLISECOND = timedelta(milliseconds=1)
CLOSING = [[("closing", "click", at("20:00:00"))], []]


def sessions(events: list[tuple[Any, ...]], gap: timedelta) -> list[tuple[Any, ...]]:
    """Return the sessions by plain Python: a user's events in order, cut at pauses longer than the gap."""
    found = []
    for user in {event[0] for event in events}:
        times = sorted(event[2] for event in events if event[0] == user)
        cuts = [0, *(nth for nth in range(1, len(times)) if times[nth] - times[nth - 1] > gap), len(times)]
        for begin, end in itertools.pairwise(cuts):
            first, last = times[begin], times[end - 1]
            found.append((user, first, last, (last - first).total_seconds(), end - begin))
    return sorted(found)


def shown(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted(
        tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row) for row in rows
    )


@pytest.mark.parametrize("gap", [GAP, timedelta(minutes=30)])
def test_events_exactly_a_gap_apart_are_one_session_and_a_millisecond_more_makes_two(
    spark: SparkSession, tmp_path: Path, gap: timedelta
) -> None:
    start = at("10:00:00")
    events = [("one", "click", start), ("one", "click", start + gap)]
    events += [("two", "click", start), ("two", "click", start + gap + MILLISECOND)]
    expected = [
        ("one", start, start + gap, gap.total_seconds(), 2),
        ("two", start, start, 0.0, 1),
        ("two", start + gap + MILLISECOND, start + gap + MILLISECOND, 0.0, 1),
    ]
    schema = StructType.fromDDL(CLICKS)
    pattern = partial(session_windows, gap=gap, watermark=timedelta(hours=1))
    assert shown(as_batch(spark, events, schema, pattern)) == expected
    # In separate batches the session is in the state when its next event comes, in either order.
    in_order = as_stream(
        spark, tmp_path / "in-order", [events[::2], events[1::2], *CLOSING], schema, pattern, output_mode="append"
    )
    assert shown(in_order) == expected
    backwards = as_stream(
        spark, tmp_path / "backwards", [events[1::2], events[::2], *CLOSING], schema, pattern, output_mode="append"
    )
    assert shown(backwards) == expected


def test_a_session_comes_out_once_and_what_comes_later_than_the_watermark_is_dropped_or_a_session_of_its_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    batches = [
        [("user1", "click", at("10:00:00")), ("user1", "click", at("10:00:50"))],
        [("user1", "click", at("10:00:25"))],
        [("other", "click", at("10:11:20"))],
        [],
        # The watermark is now 10:01:20. There user1's session has ended, and Spark has emitted it. No session is left
        # to merge with, so the end of each event's own window decides. The window of 10:00:50 is over, and the window
        # of 10:00:55 is open.
        [("user1", "click", at("10:00:50")), ("user1", "click", at("10:00:55"))],
        *CLOSING,
    ]
    rows = as_stream(spark, tmp_path, batches, StructType.fromDDL(CLICKS), session_windows, output_mode="append")
    assert shown(rows) == [
        ("other", at("10:11:20"), at("10:11:20"), 0.0, 1),
        # The event of 10:00:25 comes 25 seconds late and joins the two others.
        ("user1", at("10:00:00"), at("10:00:50"), 50.0, 3),
        ("user1", at("10:00:55"), at("10:00:55"), 0.0, 1),
    ]


def test_random_events_in_shuffled_batches_give_the_sessions_of_plain_python(
    spark: SparkSession, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    times = [
        at("10:00:00") + rng.randrange(60) * timedelta(seconds=15) + rng.choice([-1, 0, 0, 1]) * MILLISECOND
        for _ in range(120)
    ]
    events = [(f"user{rng.randrange(5)}", "click", time) for time in times]
    expected = sessions(events, GAP)
    schema = StructType.fromDDL(CLICKS)
    assert shown(as_batch(spark, events, schema, session_windows)) == expected
    forgiving = partial(session_windows, watermark=timedelta(hours=1))
    batches = [events[nth::4] for nth in range(4)] + CLOSING
    assert shown(as_stream(spark, tmp_path, batches, schema, forgiving, output_mode="append")) == expected
