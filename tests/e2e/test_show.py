"""`adstream show JOB` reads a table of Cassandra: by key, the newest rows first, and says if there are more."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from adstream import result_tables
from common.errors import ConfigError
from common.settings import CassandraSettings, Settings
from streaming.sinks.cassandra_rows import Table, write_rows
from tests.e2e.pipeline import make_tables

TABLE = Table("transaction_windows", ("user_id", "day", "window_start", "window_end", "total", "last_updated"))
# The rows of this table have no name.
UNNAMED = "logins"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LENGTH = timedelta(minutes=3)


@pytest.fixture
def settings(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> CassandraSettings:
    """A keyspace of its own with 17 windows of each of three users, over two days."""
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"show_{secrets.token_hex(4)}")
    settings = Settings()
    make_tables(settings, (TABLE.name, UNNAMED))
    starts = [NOON + nth * timedelta(hours=1) for nth in range(17)]
    rows = [
        (user, start.date(), start, start + LENGTH, 1, NOON) for user in ("user1", "user2", "user3") for start in starts
    ]
    assert write_rows(settings.cassandra, TABLE, rows) == 51
    return settings.cassandra


def test_of_one_key_all_rows_come_the_newest_first(settings: CassandraSettings) -> None:
    found = result_tables.read(settings, TABLE.name, "user1", 1_000)
    shown = [(row["user_id"], row["window_start"].replace(tzinfo=UTC)) for row in found.rows]
    assert shown == [("user1", NOON + nth * timedelta(hours=1)) for nth in reversed(range(17))]
    assert found.complete
    assert len(result_tables.read(settings, TABLE.name, None, 1_000).rows) == 51


def test_a_table_without_names_takes_no_key(settings: CassandraSettings) -> None:
    with pytest.raises(ConfigError, match="logins is not kept by a name"):
        result_tables.read(settings, UNNAMED, "user1", 10)


def test_of_more_rows_than_it_reads_it_says_so(settings: CassandraSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_tables, "MOST_ROWS", 2)
    found = result_tables.read(settings, TABLE.name, None, 10)
    assert (len(found.rows), found.complete) == (2, False)
