"""Write a job's rows to its Cassandra tables, by Spark's own workers.

The table defines the written columns. A column takes the row's value of the same name. `last_updated` and
`processing_time` take the batch's time. `day`, which keeps partitions small, is the date of the first timestamp among
the clustering columns. So a new table needs only a migration and a pattern.

Contract: the function returns when Cassandra has acknowledged every row, or raises SinkError. Then the batch is not
committed and runs again. Values are absolute, by primary key: a replayed batch rewrites the same rows. One Spark action
does everything: it computes the batch, writes its rows, and returns their number or the error.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.cassandra.session import connect, table_metadata
from common.errors import MigrationError, SinkError
from common.settings import CassandraSettings, Settings
from streaming.sinks.cassandra_rows import RowWriter, Table
from streaming.sinks.sink import Destination, Sink, Stamp, Write
from streaming.spark.python_workers import settle

BATCH_TIMES = ("last_updated", "processing_time")
_DAY = "day"
_KIND = "kind"
_RESULT = pa.schema([("rows", pa.int64()), ("error", pa.string())])


@dataclass(frozen=True)
class Layout:
    """The row's column for each column of a table; None means the batch's time.

    `kind` selects the rows for the table, by their column of that name; None selects all.
    """

    table: Table
    sources: tuple[str | None, ...]
    kind: str | None = None


class Tables(Sink):
    """All rows into one table, or by their `kind` into several: `Tables("logins")`, `Tables(window="a", total="b")`."""

    def __init__(self, table: str | None = None, **by_kind: str) -> None:
        self._tables: dict[str | None, str] = {None: table} if table is not None else dict(by_kind.items())

    @property
    def destinations(self) -> tuple[Destination, ...]:
        return tuple(Destination("Cassandra", table, kind) for kind, table in self._tables.items())

    @property
    def row_by_row(self) -> bool:
        return True

    def open(self, _spark: SparkSession, settings: Settings, schema: StructType) -> Write:
        """Open the tables. Raises MigrationError if a table is missing, or if its columns differ from the job's."""
        layouts = layouts_of(settings.cassandra, self._tables, schema.names)
        return lambda rows, stamp: write(rows, layouts, settings.cassandra, stamp)


def layouts_of(settings: CassandraSettings, tables: Mapping[str | None, str], columns: list[str]) -> tuple[Layout, ...]:
    """Return the layouts of rows with these columns for the tables, given by kind.

    Raises MigrationError if they do not fit.
    """
    with connect(settings) as session:
        present = table_metadata(session, settings, tables.values())
        layouts = tuple(_layout(present[name], columns, kind) for kind, name in tables.items())
    taken = {_KIND, *(name for layout in layouts for name in layout.sources)}
    lost = [name for name in columns if name not in taken]
    if lost:
        names = " or ".join(tables.values())
        raise MigrationError(f"{names} has no column {lost[0]}, which the job computes", "run `adstream migrate`")
    return layouts


def _layout(metadata: Any, columns: list[str], kind: str | None) -> Layout:  # noqa: ANN401 - the driver has no types
    names = tuple(metadata.columns)
    clustering = [column.name for column in metadata.clustering_key if column.cql_type == "timestamp"]

    def source(name: str) -> str | None:
        if name in columns:
            return name
        if name in BATCH_TIMES:
            return None
        if name == _DAY and clustering:
            return str(clustering[0])
        raise MigrationError(
            f"table {metadata.name} has a column {name}, which the job does not compute",
            "drop it by a migration, or compute it",
        )

    return Layout(Table(metadata.name, names), tuple(source(name) for name in names), kind)


def write(rows: DataFrame, layouts: tuple[Layout, ...], settings: CassandraSettings, stamp: Stamp) -> int:
    """Upsert the rows and return how many were written; the stamp's time becomes their batch time."""
    results = rows.mapInArrow(_partition_writer(layouts, settings, stamp), "rows bigint, error string").collect()
    failed = [result["error"] for result in results if result["error"] is not None]
    if failed:
        raise SinkError(failed[0])
    return sum(result["rows"] for result in results)


def _partition_writer(
    layouts: tuple[Layout, ...], settings: CassandraSettings, stamp: Stamp
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def write_partition(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        try:
            writer = RowWriter(settings, timestamp=stamp.micros)
            for batch in batches:
                for layout in layouts:
                    writer.add_columns(layout.table, filled(batch, layout, stamp.time))
            yield _result(writer.finish(), None)
        except SinkError as error:
            # The error is a row and not an exception: an exception reaches the driver as a page of Java.
            yield _result(0, str(error))
        finally:
            settle()

    return write_partition


def filled(batch: pa.RecordBatch, layout: Layout, now: datetime) -> list[pa.Array | datetime]:
    """Return the values of the batch's rows for the layout's table, column by column."""
    if layout.kind is not None:
        batch = batch.filter(pc.equal(batch.column(_KIND), layout.kind))
    return [now if name is None else batch.column(name) for name in layout.sources]


def _result(rows: int, error: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"rows": rows, "error": error}], schema=_RESULT)
