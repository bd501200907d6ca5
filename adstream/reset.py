"""Begin a job anew: its checkpoint goes aside, its tables are emptied, and only a new checkpoint may fill them.

The order matters to whoever is interrupted: with the checkpoint gone and the tables full, the job refuses to start, and
the reset can be repeated; a job that went on over emptied tables would show wrong totals, of a few ads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cassandra.query import SimpleStatement

from adstream import job_checkpoints
from adstream.cassandra import DRIVER_ERRORS, connect, explain
from adstream.errors import CheckpointError
from adstream.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What a reset does: `checkpoint` is moved to `aside` (None where it does not exist), `tables` are emptied."""

    job: str
    checkpoint: Path | None
    aside: Path | None
    tables: tuple[str, ...]


def plan(job: str, checkpoint: Path, tables: tuple[str, ...], now: datetime) -> Plan:
    """Decide; nothing is touched."""
    if not checkpoint.exists():
        return Plan(job, None, None, tables)
    return Plan(job, checkpoint, checkpoint.with_name(f"{checkpoint.name}.before-{now:%Y%m%dT%H%M%SZ}"), tables)


def reset(settings: Settings, decided: Plan, report: Callable[[str], None]) -> None:
    """Do it. Raises CheckpointError where the folder cannot be moved, and as `adstream.cassandra.open_session`."""
    if decided.checkpoint is not None and decided.aside is not None:
        try:
            decided.checkpoint.rename(decided.aside)
        except OSError as refused:
            raise CheckpointError(
                f"{decided.checkpoint} cannot be moved to {decided.aside}: {refused.strerror}", "move it by hand"
            ) from None
        report(f"checkpoint moved to {decided.aside}; delete it when nobody needs it")
    cassandra = settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        for table in decided.tables:
            try:
                # It waits for every node, which may take longer than a write.
                session.execute(SimpleStatement(f"TRUNCATE {table}"), timeout=6 * cassandra.timeout_seconds)
            except DRIVER_ERRORS as error:
                raise explain(error, cassandra) from error
            report(f"table {cassandra.keyspace}.{table} emptied")
    job_checkpoints.forget(cassandra, decided.job)
