"""The same properties through Spark: random events of many keys, in event order, cut into shuffled batches.

Each key's events are one example. So one stream per pattern tries as many examples as it has keys.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.error_alerts import error_alerts
from streaming.patterns.expiring_totals import expiring_totals
from streaming.patterns.rack_alerts import rack_alerts
from streaming.patterns.running_totals import running_totals
from streaming.patterns.user_sessions import user_sessions
from tests.patterns.keyed_runs import CLICK, READING, TRANSACTION, values
from tests.patterns.pattern_runs import Event, Pattern, as_stream, by_key
from tests.property.keyed_streams import SECOND, START, Keyed, of_each_key
from tests.property.oracles import account, changes, sessions, since_the_last_pause, windows_above

KEYS = [f"key{number}" for number in range(12)]
BATCHES = 3


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def keyed(chance: random.Random, count: int, *, within: timedelta, value: Sequence[float]) -> list[Keyed]:
    """Return sorted rows of (time, value), with keys. So rows of the same time are in processing order."""
    span = within // timedelta(seconds=1)
    rows = [(START + chance.randrange(span) * SECOND, chance.choice(value)) for _ in range(count)]
    return [(chance.choice(KEYS), row) for row in sorted(rows)]


def streamed(
    spark: SparkSession,
    folder: Path,
    chance: random.Random,
    events: list[Event],
    schema: StructType,
    pattern: Pattern,
) -> list[Row]:
    """Return the emitted rows, after a check that no row was late."""
    cuts = sorted(chance.randrange(len(events)) for _ in range(BATCHES - 1))
    batches = [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    for batch in batches:
        chance.shuffle(batch)
    rows = as_stream(spark, folder, batches, schema, pattern)
    assert not any(row.asDict().get("late_rows") for row in rows)
    return rows


def transactions(chance: random.Random) -> tuple[list[Keyed], list[Event]]:
    """Return transactions of eight hours. One in five comes twice, the second time within the watermark's delay."""
    rows = [
        (user, (at, f"{user}-{number}", int(amount * 1_000_000)))
        for number, (user, (at, amount)) in enumerate(
            keyed(chance, 200, within=timedelta(hours=8), value=[0.1, -0.25, 19.99, 1e6])
        )
    ]
    sent = [(at, user, row) for user, row in rows for at in (row[0],)]
    sent += [(row[0] + chance.randrange(600) * SECOND, user, row) for user, row in chance.sample(rows, 40)]
    sent.sort(key=lambda each: each[0])
    return rows, [(user, row[1], moment(row[0]), row[2] / 1_000_000) for _, user, row in sent]


def totals(rows: list[Row]) -> dict[str, tuple[Any, ...]]:
    return {key[0]: values(row)[1:4] for key, row in by_key(rows, "user_id").items()}


def currency(expected: tuple[int, int, int]) -> tuple[Decimal, int, datetime]:
    return Decimal(expected[0]).scaleb(-6), expected[1], moment(expected[2])


def test_running_totals(spark: SparkSession, tmp_path: Path, chance: random.Random) -> None:
    rows, events = transactions(chance)
    found = totals(streamed(spark, tmp_path, chance, events, TRANSACTION, running_totals))
    assert found == {user: currency(account(own)) for user, own in of_each_key(rows).items()}


def test_expiring_totals(spark: SparkSession, tmp_path: Path, chance: random.Random) -> None:
    rows, events = transactions(chance)
    found = totals(streamed(spark, tmp_path, chance, events, TRANSACTION, expiring_totals))
    hour = 3600 * SECOND
    assert found == {user: currency(since_the_last_pause(own, hour)) for user, own in of_each_key(rows).items()}


def test_user_sessions(spark: SparkSession, tmp_path: Path, chance: random.Random) -> None:
    rows = keyed(chance, 600, within=timedelta(minutes=30), value=[0])
    events = [(user, "click", moment(row[0])) for user, row in rows]
    table = by_key(streamed(spark, tmp_path, chance, events, CLICK, user_sessions), "user_id", "session_start")
    expected = {(user, *session) for user, own in of_each_key(rows).items() for session in sessions(own, 30 * SECOND)}
    assert {values(row)[:5] for row in table.values()} == {
        (user, moment(start), moment(last), (last - start) / SECOND, events) for user, start, last, events in expected
    }


def test_error_alerts(spark: SparkSession, tmp_path: Path, chance: random.Random) -> None:
    """Each window has about a hundred errors, so some windows are above the threshold and some are not."""
    rows = keyed(chance, 2000, within=timedelta(hours=4), value=[0, 1, 1, 1, 1])
    events = [(user, "error" if error else "click", moment(at)) for user, (at, error) in rows]
    found = [values(row) for row in streamed(spark, tmp_path, chance, events, CLICK, error_alerts)]
    expected = windows_above([at for _, (at, error) in rows if error], 900 * SECOND, 100)
    assert sorted(found) == [(moment(start), moment(start + 900 * SECOND), 100) for start in sorted(expected)]


def test_rack_alerts(spark: SparkSession, tmp_path: Path, chance: random.Random) -> None:
    rows = keyed(chance, 400, within=timedelta(hours=2), value=[99.0, 100.0, 101.5, 120.0])
    events = [(rack, temperature, moment(at)) for rack, (at, temperature) in rows]
    found = streamed(spark, tmp_path, chance, events, READING, rack_alerts)
    expected = {(rack, *change) for rack, own in of_each_key(rows).items() for change in changes(own, 100, 3)}
    # Readings of one time may change a rack several times at that time. So the test compares all rows, not a table by
    # key.
    assert {values(row)[:4] for row in found} == {
        (rack, moment(at), status, temperature) for rack, at, status, temperature in expected
    }
