"""Runs a pattern as a batch, or as a stream of micro-batches over files: each list of events is one batch."""

import os
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from common.settings import SparkSettings
from streaming.spark.state_store import PROVIDER, suited

Pattern = Callable[[DataFrame], DataFrame]
Event = tuple[Any, ...]


class Crash(Exception):
    """A failure of the sink, after it has written the rows and before the batch is committed."""


def as_batch(spark: SparkSession, events: Sequence[Event], schema: StructType, pattern: Pattern) -> list[Row]:
    """Return the pattern's rows over all events at once."""
    return pattern(spark.createDataFrame(events, schema)).collect()


def as_stream(
    spark: SparkSession,
    folder: Path,
    batches: Sequence[Sequence[Event]],
    schema: StructType,
    pattern: Pattern,
    *,
    output_mode: str = "update",
    crash_at: int | None = None,
) -> list[Row]:
    """Return every emitted row, in order.

    An empty batch puts the previous batch's watermark into force. With `crash_at`, the sink fails once on that batch,
    after it has the rows, and the query starts again.
    """
    source = folder / "source"
    for number, batch in enumerate(batches):
        write_batch(source, number, batch, schema)
    emitted: list[Row] = []
    crashes = [crash_at] if crash_at is not None else []

    def sink(rows: DataFrame, batch_id: int) -> None:
        emitted.extend(rows.collect())
        if batch_id in crashes:
            crashes.clear()
            raise Crash

    def run() -> None:
        rows = pattern(spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(source)))
        spark.conf.set(PROVIDER, suited(rows, output_mode, SparkSettings()))
        query = (
            rows.writeStream.outputMode(output_mode)
            .option("checkpointLocation", str(folder / "checkpoint"))
            .trigger(availableNow=True)
            .foreachBatch(sink)
            .start()
        )
        query.awaitTermination()

    if crash_at is not None:
        try:
            run()
        except StreamingQueryException:
            assert not crashes, "the query failed, but not by the crash"
        else:
            raise AssertionError("the crash did not happen")
    run()
    return emitted


def by_key(rows: Iterable[Row], *key: str) -> dict[tuple[Any, ...], Row]:
    """Return the content of a table with this primary key after an upsert of all rows in order."""
    return {tuple(row[name] for name in key): row for row in rows}


def write_batch(folder: Path, number: int, events: Sequence[Event], schema: StructType) -> None:
    """Write the events as the file of one batch. A lower number comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{number}.parquet", events, schema, modified=1_000_000 + number)


def _arrow(schema: StructType) -> pa.Schema:
    """Return the schema for Arrow. Times are UTC by default in Spark 4.1, and have no default in 4.3."""
    zone = {"timezone": "UTC"} if "timezone" in signature(to_arrow_schema).parameters else {}
    return to_arrow_schema(schema, **zone)


def _write(file: Path, events: Sequence[Event], schema: StructType, *, modified: int) -> None:
    arrow = _arrow(schema)
    columns = [list(column) for column in zip(*events, strict=True)] or [[] for _ in schema]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, arrow, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=arrow), file, coerce_timestamps="us")
    # The file source reads files in the order of their modification times.
    os.utime(file, (modified, modified))
