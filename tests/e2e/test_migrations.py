"""Migrations on a real Cassandra, each test in a keyspace of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from cassandra.cluster import Session

from common.cassandra.cql_files import Migration, committed
from common.cassandra.kept_rows import kept_since
from common.cassandra.migrations import Applied, migrate
from common.cassandra.session import connect
from common.errors import ConfigError, MigrationError
from common.settings import Settings
from streaming.jobs import find
from streaming.query.options import Options
from streaming.query.prerequisites import require
from streaming.sources import Folder

_numbers = count(1)

FIRST = Migration(1, "first", "-- one\nCREATE TABLE IF NOT EXISTS first (a int PRIMARY KEY);")
SECOND = Migration(
    2, "second", "CREATE TABLE IF NOT EXISTS second (a int PRIMARY KEY); ALTER TABLE first ADD IF NOT EXISTS b text"
)


@pytest.fixture
def settings(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"migrations_{next(_numbers)}")
    return Settings()


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    with connect(settings.cassandra) as session:
        yield session
        session.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra.keyspace}", timeout=30)


def tables(session: Session, settings: Settings) -> set[str]:
    query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    return {row.table_name for row in session.execute(query, (settings.cassandra.keyspace,))}


def time_to_live(session: Session, settings: Settings, table: str = "ad_metrics_by_window") -> int:
    query = "SELECT default_time_to_live FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s"
    found: int = session.execute(query, (settings.cassandra.keyspace, table)).one()[0]
    return found


def test_an_empty_cluster_gets_all_tables_once(settings: Settings, session: Session) -> None:
    first = migrate(settings)
    assert first[:2] == [Applied(1, "ad_metrics", True), Applied(2, "ad_metrics_by_window", True)]
    assert {"ad_metrics", "ad_metrics_by_window", "schema_migrations"} <= tables(session, settings)
    assert time_to_live(session, settings) == settings.cassandra.window_ttl_days * 86_400

    assert migrate(settings) == [replace(applied, new=False) for applied in first]
    records = list(session.execute(f"SELECT * FROM {settings.cassandra.keyspace}.schema_migrations"))
    assert {row.version: row.checksum for row in records} == {each.version: each.checksum for each in committed()}
    assert all(row.applied_at and row.applied_by for row in records)


def test_two_at_once_apply_each_migration_once(settings: Settings, session: Session) -> None:
    command = [sys.executable, "-m", "adstream.cli", "migrate"]
    both = [
        subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=180)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for migration in committed():
        lines = sorted(line for text in said for line in text.splitlines() if line.startswith(migration.label))
        assert [line.split(maxsplit=1)[1] for line in lines] == ["already there", "applied"], said


def test_only_what_is_new_is_applied(settings: Settings, session: Session) -> None:
    migrate(settings, migrations=[FIRST])
    assert migrate(settings, migrations=[FIRST, SECOND]) == [Applied(1, "first", False), Applied(2, "second", True)]


def test_a_changed_file_is_refused_and_changes_nothing(settings: Settings, session: Session) -> None:
    migrate(settings, migrations=[FIRST])
    with pytest.raises(MigrationError, match=r"cql/001_first.cql has changed since it was applied at 2.*; restore"):
        migrate(settings, migrations=[replace(FIRST, text=FIRST.text + "\n"), SECOND])
    assert "second" not in tables(session, settings)


def test_a_keyspace_ahead_of_the_files_is_refused(settings: Settings, session: Session) -> None:
    migrate(settings, migrations=[FIRST, SECOND])
    with pytest.raises(MigrationError, match="has migration 002_second, for which there is no file"):
        migrate(settings, migrations=[FIRST])


def test_a_file_that_failed_half_way_is_applied_again(settings: Settings, session: Session) -> None:
    broken = replace(SECOND, text=SECOND.text + "; ALTER TABLE nowhere ADD IF NOT EXISTS b int")
    with pytest.raises(MigrationError, match=r"cql/002_second.cql failed: Cassandra says: .*nowhere.*; correct it"):
        migrate(settings, migrations=[FIRST, broken])
    assert "second" in tables(session, settings)
    assert migrate(settings, migrations=[FIRST, SECOND]) == [Applied(1, "first", False), Applied(2, "second", True)]


def test_a_crashed_holder_of_the_lock_is_waited_for_until_its_lease_ends(settings: Settings, session: Session) -> None:
    migrate(settings, migrations=[FIRST])
    lock = f"INSERT INTO {settings.cassandra.keyspace}.schema_lock (name, holder)"
    session.execute(f"{lock} VALUES ('migrate', 'gone/4711/x') IF NOT EXISTS USING TTL 4")
    said: list[str] = []
    assert migrate(settings, migrations=[FIRST, SECOND], report=said.append)[1].new
    assert said == ["waiting for gone/4711 (host/process), which is migrating"]


def test_options_follow_the_settings(settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(settings)
    monkeypatch.setenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS", "3")
    wanted = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
    monkeypatch.setenv("ADSTREAM_CASSANDRA_REPLICATION", wanted)
    said: list[str] = []
    migrate(Settings(), report=said.append)
    assert time_to_live(session, settings) == 3 * 86_400
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    stored = session.execute(query, (settings.cassandra.keyspace,)).one().replication
    assert dict(stored) == {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "datacenter1": "1"}
    assert len(said) == 2

    said.clear()
    migrate(Settings(), report=said.append)
    assert said == []


def test_a_job_may_keep_windows_open_for_as_long_as_the_tables_rows_live_whatever_its_own_setting_is(
    settings: Settings, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(timedelta(seconds=1), source=Folder(tmp_path))

    def start(days: int) -> None:
        require(Settings(), find("top-products").with_parameters(window=timedelta(days=days)), options)

    monkeypatch.setenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS", "50")
    migrate(Settings())
    monkeypatch.delenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS")
    start(40)
    monkeypatch.setenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS", "61")
    with pytest.raises(ConfigError, match=r"^a row of \w+ lives 50d, and it may change for longer: --window 60d"):
        start(60)
    migrate(Settings())
    start(60)
    for table in ("top_products", "product_totals"):
        session.execute(f"ALTER TABLE {settings.cassandra.keyspace}.{table} WITH default_time_to_live = 0", timeout=30)
    start(6_000)


def test_rows_are_kept_for_as_long_as_the_table_says_whatever_the_setting_is(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, now = "ad_metrics_by_window", datetime(2026, 11, 30, tzinfo=UTC)
    monkeypatch.setenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS", "7")
    migrate(Settings())
    assert kept_since(settings.cassandra, table, now) == datetime(2026, 11, 23, tzinfo=UTC)
    session.execute(f"ALTER TABLE {settings.cassandra.keyspace}.{table} WITH default_time_to_live = 0", timeout=30)
    assert kept_since(settings.cassandra, table, now) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.usefixtures("settings")
def test_a_data_centre_that_the_cluster_does_not_have_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_LOCAL_DATACENTER", "mars")
    with pytest.raises(ConfigError, match="the cluster has no data centre 'mars', only datacenter1"):
        migrate(Settings())


@pytest.mark.parametrize("table", ["job_checkpoints", "backfills", "rack_alerts"])
def test_rows_that_count_however_old_they_are_do_not_expire(settings: Settings, session: Session, table: str) -> None:
    migrate(settings)
    assert time_to_live(session, settings, table) == 0
    session.execute(f"ALTER TABLE {settings.cassandra.keyspace}.{table} WITH default_time_to_live = 86400", timeout=30)
    said: list[str] = []
    migrate(settings, report=said.append)
    assert time_to_live(session, settings, table) == 0
    assert said == []


@pytest.mark.parametrize("replication", ["three", "{'class': 'NoStrategy', 'replication_factor': 1}"])
def test_a_replication_that_cannot_be_used_is_the_users_to_correct(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch, replication: str
) -> None:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_REPLICATION", replication)
    with pytest.raises(ConfigError, match="ADSTREAM_CASSANDRA_REPLICATION"):
        migrate(Settings())
