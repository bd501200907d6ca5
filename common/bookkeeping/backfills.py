"""Records of corrections by backfills, for later backfills and the ledger.

No later backfill undoes a recorded correction, and the ledger accounts for it.

A backfill writes its row in `backfills` after the corrected windows. If it dies in between, there is no row. The next
run writes the same windows again. The key of a row is the lease (common.bookkeeping.leases), so writing a row twice
changes nothing.

Rows belong to one checkpoint, by its id. A job that starts over writes its windows again without late events. Earlier
corrections then no longer apply.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from cassandra.query import SimpleStatement

from common import retries
from common.cassandra.session import DRIVER_ERRORS, TRANSIENT, connect, explain
from common.settings import CassandraSettings

_COLUMNS = "lease, window_from, window_to, late, upto, events, late_events, rows_written, finished"


@dataclass(frozen=True)
class Backfill:
    """One correction of the windows that begin in [start, end), from the messages below `upto` (by partition).

    After the correction the windows hold `events` and `late_events`. With `late`, they hold every late event below
    `upto`.
    """

    lease: int
    start: datetime
    end: datetime
    late: bool
    upto: Mapping[int, int]
    events: int
    late_events: int
    rows: int
    finished: datetime


@dataclass(frozen=True)
class Span:
    """Windows that begin in [start, end), and the offsets below which their late events count, by partition.

    `event_times` returns times of events instead.
    """

    start: datetime
    end: datetime
    late_upto: Mapping[int, int]


def recorded(settings: CassandraSettings, job: str, checkpoint: str) -> list[Backfill]:
    """Return the corrections under this checkpoint id; none if the keyspace is older than the table of corrections."""
    with connect(settings, keyspace=settings.keyspace) as session:
        if "backfills" not in session.cluster.metadata.keyspaces[settings.keyspace].tables:
            return []
        query = f"SELECT {_COLUMNS} FROM backfills WHERE job = %s AND checkpoint = %s"  # noqa: S608
        try:
            return [_backfill(row) for row in session.execute(query, (job, checkpoint))]
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error


def record(settings: CassandraSettings, job: str, checkpoint: str, done: Backfill) -> None:
    """Record a correction whose rows Cassandra has acknowledged."""
    insert = f"INSERT INTO backfills (job, checkpoint, {_COLUMNS}) VALUES ({', '.join(['%s'] * 11)})"  # noqa: S608
    values = (done.lease, done.start, done.end, done.late, dict(done.upto), done.events, done.late_events)
    with connect(settings, keyspace=settings.keyspace) as session:
        statement = SimpleStatement(insert, is_idempotent=True)
        every = (job, checkpoint, *values, done.rows, done.finished)
        try:
            retries.call(lambda: session.execute(statement, every), on=TRANSIENT)
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error


def spans(start: datetime, end: datetime, done: Iterable[Backfill], *, longest: timedelta) -> list[Span]:
    """Return [start, end) in pieces of at most `longest`. All windows of a piece count the same late events."""
    counting = [each for each in done if each.late]
    cuts = {start, end} | {cut for each in counting for cut in (each.start, each.end) if start < cut < end}
    cuts |= {start + nth * longest for nth in range(1, -((start - end) // longest))}
    ordered = sorted(cuts)
    return [
        Span(since, until, merged(each.upto for each in counting if each.start <= since < each.end))
        for since, until in pairwise(ordered)
    ]


def among(done: Iterable[Backfill], ranges: Mapping[int, tuple[int, int]]) -> list[Backfill]:
    """Return the corrections that hold late events of the offsets [first, end), by partition; `upto` ends with them.

    Reading these offsets, the other corrections make no difference. Older ones do, because an event may be late by any
    time.
    """
    held = [
        replace(
            each,
            upto={
                partition: min(offset, ranges[partition][1])
                for partition, offset in each.upto.items()
                if partition in ranges and offset > ranges[partition][0]
            },
        )
        for each in done
        if each.late
    ]
    return [each for each in held if each.upto]


def event_times(done: Iterable[Backfill], *, reach: timedelta) -> list[Span]:
    """Return the times of late events that the corrections hold, as few spans that do not overlap.

    The last window of a correction takes events for `reach` after its end: its length without one slide.
    """
    held = [replace(each, end=each.end + reach) for each in done if each.late]
    if not held:
        return []
    start, end = min(each.start for each in held), max(each.end for each in held)
    found: list[Span] = []
    for span in spans(start, end, held, longest=end - start):
        if found and found[-1].end == span.start and found[-1].late_upto == span.late_upto:
            found[-1] = replace(found[-1], end=span.end)
        elif span.late_upto:
            found.append(span)
    return found


def merged(offsets: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the largest offset of each partition."""
    found: dict[int, int] = {}
    for each in offsets:
        for partition, offset in each.items():
            found[partition] = max(offset, found.get(partition, 0))
    return found


def _backfill(row: Any) -> Backfill:  # noqa: ANN401 - the driver has no types
    return Backfill(
        row.lease,
        row.window_from.replace(tzinfo=UTC),
        row.window_to.replace(tzinfo=UTC),
        row.late,
        dict(row.upto or {}),
        row.events,
        row.late_events,
        row.rows_written,
        row.finished.replace(tzinfo=UTC),
    )
