"""From when on a table has all of its rows."""

from datetime import UTC, datetime

from common.cassandra.session import require_tables
from common.cassandra.time_to_live import times_to_live
from common.settings import CassandraSettings


def kept_since(settings: CassandraSettings, table: str, now: datetime) -> datetime:
    """Return the time (UTC) before which rows that were written then may have expired; 1970 if rows never expire.

    The time to live is the one of the table. `adstream migrate` may have run with other settings than this process.
    Raises MigrationError if the keyspace lacks the table.
    """
    lives = times_to_live(require_tables(settings, [table]).values())
    return now - lives[table] if table in lives else datetime.fromtimestamp(0, UTC)
