"""Shared by tests of the patterns with state per key: columns, times, and the remaining state."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql.types import DoubleType, FloatType, StringType, StructType, TimestampType

from tests.patterns.pattern_runs import Event

TRANSACTION = (
    StructType()
    .add("userId", StringType())
    .add("transactionId", StringType())
    .add("transactionTime", TimestampType())
    .add("amount", DoubleType())
)
CLICK = StructType().add("user_id", StringType()).add("event", StringType()).add("eventtimestamp", TimestampType())
READING = StructType().add("rack", StringType()).add("temperature", FloatType()).add("ts", TimestampType())


def values(row: Row) -> tuple[Any, ...]:
    """Return the row as a tuple, with times in UTC. PySpark gives naive times in this machine's zone."""
    return tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row)


def shuffled(batches: Sequence[Sequence[Event]]) -> list[list[Event]]:
    """Return the same batches, each in a random order."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    return [chance.sample(batch, len(batch)) for batch in batches]


def remembered(spark: SparkSession, folder: Path) -> dict[Any, Row]:
    """Return the state of each key in the stream of `folder`."""
    state = spark.read.format("statestore").option("stateVarName", "remembered").load(str(folder / "checkpoint"))
    return {row["key"][0]: row["value"] for row in state.collect()}


def timers(spark: SparkSession, folder: Path) -> dict[Any, int]:
    """Return the timer of each key, in milliseconds since 1970."""
    state = spark.read.format("statestore").option("readRegisteredTimers", "true").load(str(folder / "checkpoint"))
    rows = state.collect()
    found = {row["key"][0]: row["expiration_timestamp_ms"] for row in rows}
    assert len(found) == len(rows), "a key has more than one timer"
    return found
