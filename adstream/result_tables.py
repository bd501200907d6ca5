"""Read a job's result table for people: bounded, by key if one is given, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cassandra.query import SimpleStatement

from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import ConfigError, MigrationError
from common.settings import CassandraSettings

# Cassandra keeps no order among partitions. So the newest rows are the newest of at most this many.
MOST_ROWS = 10_000
# Columns that only serve the table.
_HIDDEN = ("day",)


@dataclass(frozen=True)
class Rows:
    """The first rows of a table, each by column name; `complete` is False if the table has more rows."""

    columns: list[str]
    rows: list[dict[str, Any]]
    complete: bool


def read(settings: CassandraSettings, table: str, key: str | None, limit: int) -> Rows:
    """Read rows of `table`; with `key` only rows with this first key column.

    Raises MigrationError if the table is missing, and the errors of `common.cassandra.session.open_session`.
    """
    with connect(settings, keyspace=settings.keyspace) as session:
        found = session.cluster.metadata.keyspaces[settings.keyspace].tables.get(table)
        if found is None:
            raise MigrationError(f"keyspace {settings.keyspace} has no table {table}", "run `adstream migrate`")
        by = found.partition_key[0]
        only = ""
        if key is not None:
            if by.cql_type != "text":
                raise ConfigError(f"{table} is not kept by a name", "leave --key out")
            only = f"WHERE {by.name} = %s"
        # The day is the other part of the key, so a name alone is a filter. The query reads on until the limit is
        # reached.
        query = f"SELECT * FROM {table} {only} LIMIT {MOST_ROWS + 1} ALLOW FILTERING"  # noqa: S608
        try:
            found_rows = session.execute(SimpleStatement(query, fetch_size=5_000), () if key is None else (key,))
            rows = [row._asdict() for row in found_rows]
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error
        keys = [column.name for column in [*found.partition_key, *found.clustering_key]]
        columns = _in_order(keys, list(found.columns))
    return Rows(columns, _newest_first(rows[:MOST_ROWS], keys)[:limit], len(rows) <= MOST_ROWS)


def _in_order(keys: list[str], columns: list[str]) -> list[str]:
    """Sort the columns: keys, the end of a window beside its start, the rest, and the batch's time last."""
    rest = [name for name in columns if name not in keys]
    times = ("window_end", "session_end", "last_updated", "processing_time")
    rest.sort(key=lambda name: times.index(name) - 2 if name in times[:2] else 0)
    rest.sort(key=lambda name: name in times[2:])
    return [name for name in [*keys, *rest] if name not in _HIDDEN]


def _newest_first(rows: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    plain = [name for name in keys if name not in _HIDDEN]
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in plain if not isinstance(row[name], datetime)))
    times = [name for name in plain if rows and isinstance(rows[0][name], datetime)]
    return sorted(ordered, key=lambda row: tuple(row[name] for name in times), reverse=True)
