"""A lock among processes, kept in Cassandra by light-weight transactions.

The lock is a row that expires: a holder that crashes frees it after `LEASE_SECONDS`. A living holder renews the lock
before each step, and stops if another process has taken it.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from common.errors import AdstreamError, MigrationError

LEASE_SECONDS = 60
# A little more than a lease, so that the successor of a crashed holder gets the lock.
WAIT_SECONDS = LEASE_SECONDS + 15
POLL_SECONDS = 0.25
TELL_AFTER_SECONDS = 2.0

Run = Callable[[str, tuple[object, ...]], Any]
Report = Callable[[str], None]

TABLE = "CREATE TABLE IF NOT EXISTS {keyspace}.schema_lock (name text PRIMARY KEY, holder text)"


@contextmanager
def held(run: Run, keyspace: str, name: str, report: Report, wait_seconds: float = WAIT_SECONDS) -> Iterator[Run]:
    """Hold the lock `name`. Yields `run(statement, values)`, which renews the lock and then executes the CQL.

    Raises MigrationError when another process has it for longer than `wait_seconds`.
    """
    holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    _acquire(run, keyspace, name, holder, report, wait_seconds)

    def run_locked(statement: str, values: tuple[object, ...]) -> Any:  # noqa: ANN401 - the driver has no types
        renew = (
            f"UPDATE {keyspace}.schema_lock USING TTL {LEASE_SECONDS} SET holder = %s WHERE name = %s IF holder = %s"  # noqa: S608
        )
        if not run(renew, (holder, name, holder)).was_applied:
            raise MigrationError("the lock was lost, as a step took too long", "run `adstream migrate` again")
        return run(statement, values)

    try:
        yield run_locked
    finally:
        # If this fails, the lease ends by itself. An error that is already on its way is more important.
        with suppress(AdstreamError):
            run(f"DELETE FROM {keyspace}.schema_lock WHERE name = %s IF holder = %s", (name, holder))  # noqa: S608


def _acquire(run: Run, keyspace: str, name: str, holder: str, report: Report, wait_seconds: float) -> None:
    began = time.monotonic()
    told = False
    take = f"INSERT INTO {keyspace}.schema_lock (name, holder) VALUES (%s, %s) IF NOT EXISTS USING TTL {LEASE_SECONDS}"  # noqa: S608
    while True:
        answer = run(take, (name, holder))
        # A first attempt that timed out may have taken the lock. The row then belongs to this holder.
        if answer.was_applied or answer.one().holder == holder:
            return
        waited = time.monotonic() - began
        other = "/".join(str(answer.one().holder).split("/")[:2])
        if waited > wait_seconds:
            raise MigrationError(
                f"{other} (host/process) has held the migration lock for {waited:.0f} s", "wait for it, or stop it"
            )
        if waited > TELL_AFTER_SECONDS and not told:
            report(f"waiting for {other} (host/process), which is migrating")
            told = True
        time.sleep(POLL_SECONDS)
