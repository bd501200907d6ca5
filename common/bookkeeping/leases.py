"""Leases: the timestamp of a writer's writes, so that the newest writer wins.

Of two writes to a cell, Cassandra keeps the one with the larger timestamp. With clock timestamps, a job that hangs, is
replaced and wakes up again would overwrite newer rows with older ones. So each start of a query takes a lease by a
light-weight transaction: a number larger than all before it. The query's writes carry this number plus one for each
batch. Writes of an earlier writer are older, whenever they arrive.

The majority of all replicas reads and writes a lease, whatever the consistency level of the settings is. A node that
has missed the newest lease would answer with an older one.

Leases are microseconds since 1970, so that they compare with writes by the clock. Rows from before there were leases
are therefore older too. Two leases are at least a second apart, which leaves room for a million batches each.
"""

import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement

from common import retries
from common.cassandra.session import DRIVER_ERRORS, TRANSIENT, connect, explain
from common.errors import SinkError
from common.settings import CassandraSettings

BATCHES = 1_000_000
_LEVELS = {"consistency_level": ConsistencyLevel.QUORUM, "serial_consistency_level": ConsistencyLevel.SERIAL}
_ATTEMPTS = 5
_MICROSECOND_NANOS = 1_000


def now_micros() -> int:
    """Return this machine's clock, in microseconds since 1970."""
    return time.time_ns() // _MICROSECOND_NANOS


def take(settings: CassandraSettings, job: str, *, clock: Callable[[], int] = now_micros) -> int:
    """Take a new lease for the job: at least a second larger than any before, on any host. Returns its start.

    Raises SinkError if others take leases at the same time again and again, and the errors of
    `common.cassandra.session.open_session`.
    """
    holder = f"{socket.gethostname()} {uuid.uuid4().hex}"
    with connect(settings, keyspace=settings.keyspace) as session:

        def run(statement: str, *values: object) -> Any:  # noqa: ANN401 - the driver has no types
            query = SimpleStatement(statement, **_LEVELS)
            try:
                return retries.call(lambda: session.execute(query, values), on=TRANSIENT)
            except DRIVER_ERRORS as error:
                raise explain(error, settings) from error

        for _attempt in range(_ATTEMPTS):
            before = run("SELECT start, holder FROM writer_leases WHERE job = %s", job).one()
            if before is not None and before.holder == holder:
                return int(before.start)  # an earlier attempt timed out, but took the lease
            if before is None:
                start = clock()
                insert = "INSERT INTO writer_leases (job, start, holder) VALUES (%s, %s, %s) IF NOT EXISTS"
                done = run(insert, job, start, holder)
            else:
                start = max(clock(), before.start + BATCHES)
                update = "UPDATE writer_leases SET start = %s, holder = %s WHERE job = %s IF start = %s"
                done = run(update, start, holder, job, before.start)
            if done.was_applied:
                return start
    raise SinkError(f"others take the lease of {job} again and again", "stop all but one of its drivers")


class Lease:
    """The timestamps of one writer's batches, in order; a new lease is taken when this one is used up."""

    def __init__(self, take_lease: Callable[[], int]) -> None:
        self._take = take_lease
        self._start = take_lease()
        self._used = 0

    def next(self) -> int:
        """Return the timestamp for the writes of the next batch, in microseconds."""
        if self._used == BATCHES:
            self._start, self._used = self._take(), 0
        self._used += 1
        return self._start + self._used - 1
