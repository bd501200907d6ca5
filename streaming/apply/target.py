"""The applying process's writes to a job's tables: every row with its version as timestamp.

Contract: `write` returns when Cassandra has acknowledged every row, or raises. Values are absolute, by primary key, and
Cassandra keeps the write with the larger timestamp. So any write may be repeated, and a write that comes too late
changes nothing.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.avro import wire
from common.errors import ConfigError, SchemaIncompatible, SchemaNotFound
from common.registry import RegistryClient
from common.settings import Settings
from streaming.apply.records import Records
from streaming.apply.updates import Place, Update, of_a_strange_schema
from streaming.job import Job
from streaming.patterns.versions import NEWEST, VERSION
from streaming.sinks.cassandra_rows import RowWriter
from streaming.sinks.sink import destinations_of, write_row_by_row
from streaming.sinks.tables import Layout, filled, layouts_of

# A writer knows the nodes of each row. The process renews the writer after this time, and after an error.
_WRITER_SECONDS = 60.0
# Cassandra writes these rows while the process decodes the next ones.
_ROWS_AT_ONCE = 500


class Written(NamedTuple):
    """Rows that are in the tables, and the newest event time of each, in milliseconds since 1970."""

    rows: int
    newest_events: npt.NDArray[np.int64]


class _Source(NamedTuple):
    records: Records
    layouts: tuple[Layout, ...]


class Target:
    """The tables of a job that writes to Cassandra alone. Raises ConfigError for another job."""

    def __init__(self, settings: Settings, job: Job) -> None:
        self._settings = settings
        self._registry = RegistryClient(settings.registry)
        self._sources: dict[bytes, _Source] = {}
        self._writer: RowWriter | None = None
        self._opened_at = 0.0
        if len(job.sinks) != 1 or not write_row_by_row(job.sinks):
            raise ConfigError(f"{job.name} does not write to Cassandra alone", "see `adstream jobs` for those that do")
        self.tables = {each.kind: each.name for each in destinations_of(job.sinks)}

    def write(self, updates: Iterable[Update]) -> Written:
        """Write the rows and wait for all of them.

        Raises BadInput for an unreadable record, and SchemaIncompatible or SchemaNotFound for its schema; they name the
        place. Raises MigrationError if the tables do not match it, and SinkError for rows that Cassandra refused.
        """
        by_header: dict[bytes, list[Update]] = {}
        for update in updates:
            by_header.setdefault(update.value[: wire.HEADER_BYTES], []).append(update)
        writer, self._writer = self._writer or self._open_writer(), None
        newest = [
            self._add(writer, header, some[first : first + _ROWS_AT_ONCE])
            for header, some in by_header.items()
            for first in range(0, len(some), _ROWS_AT_ONCE)
        ]
        rows = writer.finish()
        if time.monotonic() - self._opened_at < _WRITER_SECONDS:
            self._writer = writer
        return Written(rows, np.concatenate(newest) if newest else np.empty(0, np.int64))

    def _add(self, writer: RowWriter, header: bytes, updates: list[Update]) -> npt.NDArray[np.int64]:
        source = self._sources.get(header) or self._open(header, updates[0].place)
        batch, now = source.records.decode(updates), datetime.now(UTC)
        for layout in source.layouts:
            writer.add_columns(layout.table, filled(batch, layout, now))
        times: npt.NDArray[np.int64] = batch.column(NEWEST).cast("int64").to_numpy()
        return times

    def _open_writer(self) -> RowWriter:
        self._opened_at = time.monotonic()
        return RowWriter(self._settings.cassandra)

    def _open(self, header: bytes, place: Place) -> _Source:
        _, schema_id = wire.HEADER.unpack(header)
        try:
            records = Records(schema_id, self._registry.by_id(schema_id))
        except (SchemaIncompatible, SchemaNotFound) as error:
            raise of_a_strange_schema(place, error) from None
        columns = [name for name in records.names if name not in (VERSION, NEWEST)]
        found = layouts_of(self._settings.cassandra, self.tables, columns)
        source = self._sources[header] = _Source(records, tuple(map(_versioned, found)))
        return source


def _versioned(layout: Layout) -> Layout:
    return replace(layout, table=replace(layout.table, versioned=True), sources=(*layout.sources, VERSION))
