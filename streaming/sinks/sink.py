"""A sink: an entry of the catalogue. Opened with settings, it becomes a function that writes batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.settings import Settings


@dataclass(frozen=True)
class Stamp:
    """When a batch is written: its time in UTC, and the timestamp of its writes.

    The timestamp is in microseconds, from the writer's lease (common.bookkeeping.leases).
    """

    time: datetime
    micros: int


# Writes all rows of one batch, or raises. Returns the number of rows for the batch's line; 0 beside a table's sink.
Write = Callable[[DataFrame, Stamp], int]


Store = Literal["Cassandra", "Iceberg", "Kafka"]


@dataclass(frozen=True)
class Destination:
    """One table or topic that a sink writes.

    `name` is a table in the keyspace or namespace of the settings, or the contract of a topic. `kind` picks the rows
    that go there, by their column of that name; None takes all. `facts` are for people (`adstream explain`).
    """

    store: Store
    name: str
    kind: str | None = None
    facts: tuple[str, ...] = ()


class Sink(ABC):
    """One sink of a job. A subclass defines `open` and names its destinations; everything else follows.

    A user's sink may also be any object with this `open`. Its destinations are then unknown.
    """

    @abstractmethod
    def open(self, spark: SparkSession, settings: Settings, schema: StructType, /) -> Write:
        """Open the sink; `schema` describes its future rows.

        Raises errors that a user can repair: a missing table, a wrong catalog.
        """

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """All tables and topics that the sink writes, the main one first; none for a sink that only shows rows."""
        return ()

    @property
    def row_by_row(self) -> bool:
        """Whether the sink only writes each row into the Cassandra table of its kind.

        `adstream apply` can write these rows instead, so the job can run in real-time mode.
        """
        return False


def destinations_of(sinks: Iterable[Sink]) -> tuple[Destination, ...]:
    """Return all tables and topics that the sinks name."""
    return tuple(each for sink in sinks for each in getattr(sink, "destinations", ()))


def tables_of(sinks: Iterable[Sink]) -> tuple[str, ...]:
    """Return the Cassandra tables that the sinks write."""
    return tuple(each.name for each in destinations_of(sinks) if each.store == "Cassandra")


def need_iceberg(sinks: Iterable[Sink]) -> bool:
    """Return whether one of the sinks writes to the lakehouse, so that Spark needs its catalog."""
    return any(each.store == "Iceberg" for each in destinations_of(sinks))


def write_row_by_row(sinks: Iterable[Sink]) -> bool:
    """Return whether `adstream apply` can write for all of the sinks (Sink.row_by_row)."""
    return all(getattr(sink, "row_by_row", False) for sink in sinks)


def into_all(writes: list[Write]) -> Write:
    """Return one function for several sinks. It caches the rows, so that Spark computes the batch once."""

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
