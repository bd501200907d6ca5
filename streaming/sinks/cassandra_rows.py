"""Write rows to Cassandra, by upsert.

Contract: `RowWriter.finish` returns when Cassandra has acknowledged every added row, at the consistency level of the
settings. If a write fails after its retries, `add`, `add_columns` or `finish` raises SinkError: then do not commit the
batch of these rows. Rows are absolute values by primary key, so every write may be repeated: a repeated batch rewrites
the same rows. None leaves a column unchanged (UNSET), because a null would be a tombstone.

Rows with the same replicas share unlogged batches, with limits on rows and bytes. The number of batches in flight is
limited too; at the limit the writer waits for the oldest. Nothing is atomic across rows, and nothing needs to be.
"""

import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from cassandra.cluster import ResponseFuture, Session
from cassandra.query import Statement
from cassandra.timestamps import MonotonicTimestampGenerator

from common import retries
from common.cassandra.session import DRIVER_ERRORS, HEDGED, PROTOCOL_VERSION, TRANSIENT, explain, open_session
from common.errors import AdstreamError, ServiceUnavailable, SinkError
from common.settings import CassandraSettings
from streaming.sinks import bulk, cql_columns
from streaming.sinks.batching import Batch, Batching, Run
from streaming.sinks.replica_sets import ReplicaSets

BATCH_ROWS = 100
# Cassandra refuses a batch over 50 KiB (`batch_size_fail_threshold`). It counts more than the values: 19 to 24 bytes on
# top of each, as measured. From 5 KiB on it logs a warning; docs/performance.md says why the job accepts this.
BATCH_BYTES = 32 * 1024
# Four of these bytes are the value's length, which is already in the message.
BYTES_PER_VALUE = 20
BATCHES_IN_FLIGHT = 32
# The writer encodes single rows together; larger groups are hardly faster.
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Table:
    """A table and the written columns, in the order of a row's values.

    Rows of a `versioned` table have one more value at the end: the timestamp of their write, in microseconds.
    """

    name: str
    columns: tuple[str, ...]
    versioned: bool = False


class RowWriter:
    """Writes rows of any number of tables, over this process's one session. One thread uses it."""

    def __init__(
        self,
        settings: CassandraSettings,
        *,
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = BATCH_BYTES,
        in_flight: int = BATCHES_IN_FLIGHT,
        timestamp: int | None = None,
    ) -> None:
        """Open the writer.

        `timestamp` applies to every write (common.bookkeeping.leases); None means the clock. Versioned rows bring their
        own.
        """
        self._settings = settings
        self._limit = in_flight
        self._batches: Batching[tuple[_Insert, int]] = Batching(batch_rows, batch_bytes)
        self._waiting: dict[Table, list[tuple[Any, ...]]] = {}
        self._in_flight: deque[tuple[_Insert, Statement, ResponseFuture]] = deque()
        self._rows = 0
        try:
            self._session, self._inserts = _process_session(settings)
            write_at(self._session, timestamp)
            self._replica_sets = ReplicaSets(self._session.cluster.metadata, settings.keyspace)
        except AdstreamError as error:
            raise SinkError(error.problem, error.remedy) from error

    def add_columns(self, table: Table, columns: Sequence[Any]) -> None:
        """Queue rows of Arrow arrays, and send full batches.

        A value that is not an array applies to all rows. `date` takes the day of a time, and times are cut to
        milliseconds.
        """
        insert = self._insert(table)
        self._queue(insert, [_encoded(column, kind) for column, kind in zip(columns, insert.types, strict=True)])

    def add(self, table: Table, row: tuple[Any, ...]) -> None:
        """Queue a row. The writer encodes rows and sends full batches a thousand rows at a time.

        Values are str, int, Decimal, date (or its days since 1970) and aware datetime (or its milliseconds since then),
        as the columns require. None leaves a column unchanged.
        """
        rows = self._waiting.setdefault(table, [])
        rows.append(row)
        if len(rows) >= ROWS_AT_ONCE:
            self._queue_rows(table)

    def finish(self) -> int:
        """Send the remaining rows, wait for every write, and return the number of written rows."""
        for table in list(self._waiting):
            self._queue_rows(table)
        for (insert, _), batch in self._batches.rest():
            self._send(insert, batch)
        while self._in_flight:
            self._await_oldest()
        written, self._rows = self._rows, 0
        return written

    def _queue_rows(self, table: Table) -> None:
        rows, insert = self._waiting.pop(table), self._insert(table)
        columns = [
            cql_columns.encoded_values([row[place] for row in rows], kind, PROTOCOL_VERSION)
            for place, kind in enumerate(insert.types)
        ]
        self._queue(insert, columns)

    def _queue(self, insert: "_Insert", columns: Sequence[cql_columns.Values]) -> None:
        rows = cql_columns.joined(insert.start, columns)
        if not len(rows):
            return
        key = [cql_columns.repeated(columns[place], len(rows)) for place in insert.partition_key]
        self._rows += len(rows)
        for number, chosen in self._replica_sets.divide(key):
            run = Run(rows, insert.extra_bytes, key)
            for batch in self._batches.add((insert, number), run if chosen is None else run.of(chosen)):
                self._send(insert, batch)

    def _send(self, insert: "_Insert", batch: Batch) -> None:
        while len(self._in_flight) >= self._limit:
            self._await_oldest()
        statement = insert.statement(batch)
        future = self._session.execute_async(statement, execution_profile=HEDGED)
        self._in_flight.append((insert, statement, future))

    def _await_oldest(self) -> None:
        insert, statement, future = self._in_flight.popleft()
        try:
            future.result()
        except TRANSIENT:
            self._again(insert.table, statement)
        except DRIVER_ERRORS as error:
            raise self._failed(insert.table, error) from error

    def _again(self, table: Table, statement: Statement) -> None:
        try:
            retries.call(lambda: self._session.execute(statement, execution_profile=HEDGED), on=TRANSIENT)
        except DRIVER_ERRORS as error:
            raise self._failed(table, error) from error

    def _insert(self, table: Table) -> "_Insert":
        return self._inserts.get(table) or self._prepare(table)

    def _prepare(self, table: Table) -> "_Insert":
        columns, marks = ", ".join(table.columns), ", ".join("?" * len(table.columns))
        query = f"INSERT INTO {self._settings.keyspace}.{table.name} ({columns}) VALUES ({marks})"  # noqa: S608
        if table.versioned:
            query += " USING TIMESTAMP ?"
        try:
            prepared = retries.call(lambda: self._session.prepare(query), on=TRANSIENT)
        except DRIVER_ERRORS as error:
            raise self._failed(table, error) from error
        insert = self._inserts[table] = _Insert(table, prepared)
        return insert

    def _failed(self, table: Table, error: Exception) -> SinkError:
        cause = explain(error, self._settings)
        if isinstance(cause, ServiceUnavailable):
            close_session()  # the next attempt connects again, to nodes that may have come back elsewhere
        rows = f"rows for {self._settings.keyspace}.{table.name} were not written"
        return SinkError(f"{rows}: {cause.problem}", cause.remedy)


def write_at(session: Session, timestamp: int | None) -> None:
    """Let every write over the session's connections from now on carry `timestamp`; None is the clock's."""
    session.cluster.timestamp_generator = MonotonicTimestampGenerator() if timestamp is None else lambda: timestamp


def write_rows(settings: CassandraSettings, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows of one table and return how many; the contract is the module's."""
    writer = RowWriter(settings)
    for row in rows:
        writer.add(table, row)
    return writer.finish()


class _Insert:
    """A prepared INSERT, with the metadata of its columns."""

    def __init__(self, table: Table, prepared: Any) -> None:  # noqa: ANN401 - the driver has no types
        prepared.is_idempotent = True
        self.table = table
        self.types = [column.type for column in prepared.column_metadata]
        self.partition_key: list[int] = prepared.routing_key_indexes
        self.start = bulk.row_start(prepared)
        self.extra_bytes = len(self.types) * BYTES_PER_VALUE
        self._prepared = prepared

    def statement(self, batch: Batch) -> Statement:
        first = batch.parts[0]

        def of_first_row(column: int) -> bytes:
            return cql_columns.value_of(first.run.key[self.partition_key.index(column)][first.first])

        rows = bulk.EncodedRows([part.data for part in batch.parts], batch.rows, of_first_row)
        return bulk.statement(self._prepared, rows)


def _encoded(column: Any, kind: Any) -> cql_columns.Values:  # noqa: ANN401 - a value of any type
    if isinstance(column, pa.Array):
        return cql_columns.encoded(column, kind, PROTOCOL_VERSION)
    return cql_columns.encoded_value(column, kind, PROTOCOL_VERSION)


_open: tuple[int, CassandraSettings, Session, dict[Table, _Insert]] | None = None


def _process_session(settings: CassandraSettings) -> tuple[Session, dict[Table, _Insert]]:
    """Return this process's session and its prepared statements.

    A fork opens its own, because sockets do not survive a fork.
    """
    global _open
    if _open is not None and _open[:2] != (os.getpid(), settings):
        close_session()
    if _open is None:
        session = open_session(settings)
        session.client_protocol_handler = bulk.BulkProtocol
        _open = (os.getpid(), settings, session, {})
    return _open[2:]


def close_session() -> None:
    """Close this process's session, if there is one. The next writer opens another."""
    global _open
    if _open is not None and _open[0] == os.getpid():
        _open[2].cluster.shutdown()
    _open = None
