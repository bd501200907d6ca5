"""Start a job over: move its checkpoint aside, truncate its tables, and let only a new checkpoint fill them.

The order matters after an interruption. With the checkpoint gone and rows in the tables, the job refuses to start, and
the user can repeat the reset. If a job went on with truncated tables, it would show wrong totals, of a few ads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cassandra.query import SimpleStatement

from common.bookkeeping import job_checkpoints
from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import CheckpointError
from common.kafka import updates_group
from common.settings import Settings
from common.system.checkpoint_folders import aside


@dataclass(frozen=True)
class Plan:
    """The steps of a reset: move `checkpoint` to `aside` (None if it does not exist), and truncate `tables`.

    The reset skips rows that wait in the topic `updates` (None if there is none), because they belong to the old
    checkpoint.
    """

    job: str
    checkpoint: Path | None
    aside: Path | None
    tables: tuple[str, ...]
    updates: str | None = None


def plan(job: str, checkpoint: Path, tables: tuple[str, ...], now: datetime, *, updates: str | None = None) -> Plan:
    """Decide on the steps, without changing anything."""
    if not checkpoint.exists():
        return Plan(job, None, None, tables, updates)
    return Plan(job, checkpoint, aside(checkpoint, now), tables, updates)


def reset(settings: Settings, decided: Plan, report: Callable[[str], None]) -> None:
    """Execute the plan.

    Raises CheckpointError if the folder cannot be moved, or rows are being applied, and the errors of
    `common.cassandra.session.open_session`.
    """
    if decided.updates is not None:
        updates_group.require_nobody(settings, decided.updates)
    if decided.checkpoint is not None and decided.aside is not None:
        try:
            decided.checkpoint.rename(decided.aside)
        except OSError as refused:
            raise CheckpointError(
                f"{decided.checkpoint} cannot be moved to {decided.aside}: {refused.strerror}", "move it by hand"
            ) from None
        report(f"checkpoint moved to {decided.aside}; delete it when nobody needs it")
    if decided.updates is not None:
        # Before the tables: a later row of the old checkpoint would stay for ever if no new row replaces it.
        updates_group.skip_all(settings, decided.updates)
        report(f"rows in topic {decided.updates} left out")
    cassandra = settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        for table in decided.tables:
            try:
                # A truncation waits for every node, which may take longer than a write.
                session.execute(SimpleStatement(f"TRUNCATE {table}"), timeout=6 * cassandra.timeout_seconds)
            except DRIVER_ERRORS as error:
                raise explain(error, cassandra) from error
            report(f"table {cassandra.keyspace}.{table} emptied")
    job_checkpoints.forget(cassandra, decided.job)
