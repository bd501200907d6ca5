"""What a sink is: a place in the catalogue, which opened with settings becomes a function that writes batches."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.settings import Settings


@dataclass(frozen=True)
class Stamp:
    """When a batch is written: its time in UTC, and the timestamp of its writes.

    The timestamp is in microseconds, and comes from the writer's lease (common.bookkeeping.leases).
    """

    time: datetime
    micros: int


# Writes the rows of one batch and returns how many; all of them, or it raises.
Write = Callable[[DataFrame, Stamp], int]


class Sink(Protocol):
    """`schema` is of the rows that will come. Opening raises what a user can mend: a missing table, a wrong catalog."""

    def open(self, spark: SparkSession, settings: Settings, schema: StructType, /) -> Write: ...


def into_all(writes: list[Write]) -> Write:
    """One function for several sinks. The rows are kept meanwhile, so that the batch is computed once."""

    def write(rows: DataFrame, stamp: Stamp) -> int:
        if len(writes) == 1:
            return writes[0](rows, stamp)
        kept = rows.persist()
        try:
            counts = [each(kept, stamp) for each in writes]
        finally:
            kept.unpersist()
        return max(counts, default=0)

    return write
