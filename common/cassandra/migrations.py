"""Bring the keyspace up to date with `cql/`: numbered migrations, each applied once, in order, and recorded.

The keyspace's own `schema_migrations` has each applied migration with its checksum. A file that has changed since, or a
record without a file, stops the run: a change must be a new file. The migrations of a user's project follow. They have
their own history, `project_migrations`, so neither side needs to know the numbers of the other. Each installed package
also has its own history, `migrations_of_PACKAGE`.

A lock makes two runs at once wait for each other. Only the very first run on a cluster of several nodes, which creates
the lock's table, should be alone. Replication and time to live are settings, not history, so each run applies their
current values.
"""

import ast
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cassandra import ConsistencyLevel, Unauthorized
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from common import retries
from common.cassandra.cassandra_lock import TABLE as LOCK_TABLE
from common.cassandra.cassandra_lock import Report, Run, held
from common.cassandra.cql_files import Migration, committed, of_packages
from common.cassandra.session import DRIVER_ERRORS, REFUSED, TRANSIENT, connect, explain, server_message
from common.cassandra.time_to_live import KEPT
from common.errors import ConfigError, MigrationError
from common.settings import CassandraSettings, Settings

# A change of schema writes several system tables, which takes a busy node seconds.
STATEMENT_SECONDS = 30.0
SECONDS_PER_DAY = 86_400

_OURS = "schema_migrations"
_RECORDS_TABLE = """CREATE TABLE IF NOT EXISTS {records} (
    version int PRIMARY KEY, name text, checksum text, applied_at timestamp, applied_by text)"""


@dataclass(frozen=True)
class Applied:
    """One migration that the keyspace has; `new` if this run applied it."""

    version: int
    name: str
    new: bool


def migrate(
    settings: Settings, *, migrations: list[Migration] | None = None, report: Report = lambda _line: None
) -> list[Applied]:
    """Apply missing migrations, and return all of them in order. `report` gets lines about waits and changed options.

    `migrations` replaces the committed files. Raises MigrationError, and the errors of
    `common.cassandra.session.open_session`.
    """
    series = {_OURS: committed() if migrations is None else migrations}
    if migrations is None:
        series |= of_packages()
    wanted = [migration for each in series.values() for migration in each]
    for migration in wanted:
        _ = migration.statements  # a file that cannot be applied stops the run before anything is touched
    cassandra = settings.cassandra
    with connect(cassandra) as session:
        run = _runner(session, cassandra)
        _make_keyspace(run, cassandra)
        with held(run, cassandra.keyspace, "migrate", report) as run_locked:
            applied = [
                each for records in series.items() for each in _brought(run_locked, cassandra.keyspace, *records)
            ]
            _reconcile_replication(run_locked, cassandra, report)
            _reconcile_ttl(run_locked, cassandra, report)
        return applied


def _brought(run: Run, keyspace: str, records: str, wanted: list[Migration]) -> list[Applied]:
    """Apply the `wanted` migrations that the table `records` lacks."""
    run(_RECORDS_TABLE.format(records=f"{keyspace}.{records}"), ())
    recorded = _recorded(run, keyspace, records, wanted)
    for migration in wanted[len(recorded) :]:
        _apply(run, keyspace, records, migration)
    return [Applied(each.version, each.name, each.version > len(recorded)) for each in wanted]


def _runner(session: Session, settings: CassandraSettings) -> Run:
    """Return a function that executes one statement, and retries while a node is away.

    All statements here may run twice.
    """

    def run(statement: str, values: tuple[object, ...] = ()) -> Any:  # noqa: ANN401 - the driver has no types
        simple = SimpleStatement(statement, consistency_level=ConsistencyLevel.QUORUM, is_idempotent=True)
        try:
            answer = retries.call(
                lambda: session.execute(simple, values or None, timeout=STATEMENT_SECONDS), on=TRANSIENT
            )
        except Unauthorized as error:
            raise explain(error, settings) from error
        except REFUSED as error:
            raise MigrationError(f"Cassandra says: {server_message(error)}") from error
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error
        if not answer.response_future.is_schema_agreed:
            raise MigrationError("the nodes do not agree on the schema", "run `adstream migrate` again in a moment")
        return answer

    return run


def _make_keyspace(run: Run, settings: CassandraSettings) -> None:
    _replication(settings)
    try:
        run(f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = {settings.replication}", ())
    except MigrationError as error:
        raise ConfigError(f"no keyspace can be made: {error}", "correct ADSTREAM_CASSANDRA_REPLICATION") from error
    run(LOCK_TABLE.format(keyspace=settings.keyspace), ())


def _reconcile_replication(run: Run, settings: CassandraSettings, report: Report) -> None:
    # The default is for a new keyspace. It must not change a keyspace that somebody has set up otherwise.
    if "replication" not in settings.model_fields_set:
        return
    keyspace, wanted = settings.keyspace, _replication(settings)
    stored = run("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", (keyspace,)).one()
    if not _same(wanted, _plain(dict(stored.replication))):
        run(f"ALTER KEYSPACE {keyspace} WITH replication = {settings.replication}", ())
        report(f"keyspace {keyspace} now has replication {wanted}; run `nodetool repair {keyspace}` to copy its rows")


def _replication(settings: CassandraSettings) -> dict[str, str]:
    try:
        literal = ast.literal_eval(settings.replication)
        return _plain(literal)
    except (ValueError, SyntaxError, AttributeError, KeyError):
        raise ConfigError(
            f"ADSTREAM_CASSANDRA_REPLICATION cannot be used: {settings.replication}",
            "write it like {'class': 'SimpleStrategy', 'replication_factor': 1}",
        ) from None


def _plain(replication: dict[str, object]) -> dict[str, str]:
    plain = {str(key): str(value) for key, value in replication.items()}
    return {**plain, "class": plain["class"].rpartition(".")[2]}


def _same(wanted: dict[str, str], stored: dict[str, str]) -> bool:
    """Return whether two replications are the same.

    Cassandra stores NetworkTopologyStrategy's `replication_factor` as one entry per data centre.
    """
    if wanted["class"] == stored["class"] == "NetworkTopologyStrategy" and set(wanted) == {
        "class",
        "replication_factor",
    }:
        return {value for key, value in stored.items() if key != "class"} == {wanted["replication_factor"]}
    return wanted == stored


def _recorded(run: Run, keyspace: str, records: str, wanted: list[Migration]) -> list[Migration]:
    """Return the keyspace's migrations. Raises MigrationError if its history and the files differ."""
    rows = run(f"SELECT version, name, checksum, applied_at FROM {keyspace}.{records}", ())  # noqa: S608
    history = sorted(rows, key=lambda row: row.version)
    for expected, row in enumerate(history, start=1):
        if row.version > len(wanted):
            raise MigrationError(
                f"keyspace {keyspace} has migration {row.version:03}_{row.name}, for which there is no file in cql/",
                "use the version of adstream that applied it, or a newer one",
            )
        if row.version != expected:
            raise MigrationError(
                f"keyspace {keyspace} has migration {row.version:03}_{row.name} but not number {expected:03}",
                f"restore the row in {keyspace}.{records} that was removed",
            )
        migration = wanted[row.version - 1]
        if row.checksum != migration.checksum:
            raise MigrationError(
                f"cql/{migration.label}.cql has changed since it was applied at {row.applied_at:%Y-%m-%d %H:%M} UTC",
                "restore the file, and put the change into a new one",
            )
    return wanted[: len(history)]


def _apply(run: Run, keyspace: str, records: str, migration: Migration) -> None:
    run(f"USE {keyspace}", ())
    for statement in migration.statements:
        try:
            run(statement, ())
        except MigrationError as error:
            raise MigrationError(
                f"cql/{migration.label}.cql failed: {error.problem}",
                error.remedy or "correct it and run `adstream migrate` again; what it has done already is skipped",
            ) from error
    run(
        f"INSERT INTO {keyspace}.{records} (version, name, checksum, applied_at, applied_by)"  # noqa: S608
        " VALUES (%s, %s, %s, %s, %s)",
        (migration.version, migration.name, migration.checksum, datetime.now(UTC), socket.gethostname()),
    )


def _reconcile_ttl(run: Run, settings: CassandraSettings, report: Report) -> None:
    """Set the time to live of tables with clustering columns, which grow with time.

    Rows of the tables in `KEPT` never expire.
    """
    keyspace, wanted = settings.keyspace, settings.window_ttl_days * SECONDS_PER_DAY
    columns = run("SELECT table_name, kind FROM system_schema.columns WHERE keyspace_name = %s", (keyspace,))
    growing = {column.table_name for column in columns if column.kind == "clustering"}
    query = "SELECT table_name, default_time_to_live FROM system_schema.tables WHERE keyspace_name = %s"
    changed = []
    for stored in run(query, (keyspace,)):
        seconds = 0 if stored.table_name in KEPT else wanted
        if stored.table_name in growing and stored.default_time_to_live != seconds:
            run(f"ALTER TABLE {keyspace}.{stored.table_name} WITH default_time_to_live = {seconds}", ())
            if stored.default_time_to_live and seconds:
                changed.append(f"{keyspace}.{stored.table_name}")
    if changed:
        tables = changed[0] if len(changed) == 1 else f"{len(changed)} tables in {keyspace}"
        report(f"rows of {tables} written from now on live {settings.window_ttl_days} days")
