"""Read `late_events` for people: a job's late events, by window and as a sum. streaming.sinks writes the table."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import MigrationError
from common.lateness.delays import Delays, merged
from common.settings import CassandraSettings

TABLE = "late_events"
# A row holds the number that one batch adds to one window. Rows are read by the hour, newest first, up to this many.
MOST_ROWS = 100_000
_PAGE = 5_000


@dataclass(frozen=True)
class LateEvents:
    """Late `events`, each counted once, and the delays of each window by its start (UTC), newest first.

    They come from the checkpoint that wrote last; another checkpoint may have judged the same messages by another rule.
    `others` is the number of events that the job's other checkpoints counted. `complete` is False if there was more to
    read.
    """

    events: int = 0
    windows: dict[datetime, Delays] = field(default_factory=dict)
    others: int = 0
    complete: bool = True

    @property
    def delays(self) -> Delays:
        return merged(self.windows.values())


def read(settings: CassandraSettings, job: str) -> LateEvents:
    """Read a job's late events.

    Raises MigrationError if the table is missing, and the errors of `common.cassandra.session.open_session`.
    """
    with connect(settings, keyspace=settings.keyspace) as session:
        if TABLE not in session.cluster.metadata.keyspaces[settings.keyspace].tables:
            raise MigrationError(f"keyspace {settings.keyspace} has no table {TABLE}", "run `adstream migrate`")
        try:
            rows, complete = _rows(session, job)
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error
    if not rows:
        return LateEvents()
    newest = max(rows, key=lambda row: row.last_updated).checkpoint
    windows: dict[datetime, Counter[int]] = defaultdict(Counter)
    once: Counter[bool] = Counter()
    for row in rows:
        once[row.checkpoint == newest] += row.events_once
        if row.checkpoint == newest:
            windows[row.window_start.replace(tzinfo=UTC)].update(dict(row.delays))
    return LateEvents(once[True], dict(sorted(windows.items(), reverse=True)), once[False], complete)


def _rows(session: Session, job: str) -> tuple[list[Any], bool]:
    # Cassandra finds the partitions of a table without reading their rows.
    partitions = session.execute(SimpleStatement(f"SELECT DISTINCT job, hour FROM {TABLE}", fetch_size=_PAGE))  # noqa: S608
    hours = sorted((row.hour for row in partitions if row.job == job), reverse=True)
    query = SimpleStatement(f"SELECT * FROM {TABLE} WHERE job = %s AND hour = %s", fetch_size=_PAGE)  # noqa: S608
    every = (row for hour in hours for row in session.execute(query, (job, hour)))
    rows = list(islice(every, MOST_ROWS))
    return rows, next(every, None) is None
