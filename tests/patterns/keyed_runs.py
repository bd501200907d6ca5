"""What the tests of the patterns with state per key share: columns, times, and a look at the state that was left."""

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
    """The row as a tuple, its times in UTC; PySpark gives them in this machine's zone, without saying so."""
    return tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row)


def shuffled(batches: Sequence[Sequence[Event]]) -> list[list[Event]]:
    """The same batches, each in an order of its own."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    return [chance.sample(batch, len(batch)) for batch in batches]


def remembered(spark: SparkSession, folder: Path) -> dict[Any, Row]:
    """What the state store of the stream in `folder` holds for each key."""
    state = spark.read.format("statestore").option("stateVarName", "remembered").load(str(folder / "checkpoint"))
    return {row["key"][0]: row["value"] for row in state.collect()}


def timers(spark: SparkSession, folder: Path) -> dict[Any, int]:
    """The timer that is set for each key, in milliseconds since 1970."""
    state = spark.read.format("statestore").option("readRegisteredTimers", "true").load(str(folder / "checkpoint"))
    rows = state.collect()
    found = {row["key"][0]: row["expiration_timestamp_ms"] for row in rows}
    assert len(found) == len(rows), "a key has more than one timer"
    return found
