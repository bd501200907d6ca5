"""One checkpoint counts a source into a job's tables, and no other may until the tables are reset.

Totals live in the checkpoint; the tables hold copies. A new checkpoint starts from nothing, so its first batches would
overwrite totals of weeks with totals of seconds. So the first batch of a checkpoint writes the checkpoint's id beside
the tables. A job with another id, or with a checkpoint that has lost its batches, is refused.

The majority of all replicas reads and writes the id, whatever the consistency level of the settings is. A node that has
missed a reset would let the checkpoint from before it go on.

Samples and tests read their own topics: they share tables with the job, but never a source.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from common import retries
from common.cassandra.session import DRIVER_ERRORS, TRANSIENT, connect, explain
from common.errors import CheckpointError
from common.settings import CassandraSettings

_RESET = ""


@dataclass(frozen=True)
class Claim:
    """A checkpoint's claim to count `source` into the job's tables; `fresh` if it has no batch yet."""

    job: str
    source: str
    checkpoint_id: str
    checkpoint: str
    fresh: bool


def require(settings: CassandraSettings, claim: Claim, tables: tuple[str, ...]) -> str | None:
    """Return the id of the checkpoint that has counted the source so far, or None; for `take`.

    Raises CheckpointError if the tables hold rows of another checkpoint, or of this one before it lost its batches.
    """
    with connect(settings, keyspace=settings.keyspace) as session:
        owner = _owner(session, settings, claim)
        if owner is None:
            return None
        if owner.checkpoint_id == _RESET and not claim.fresh:
            raise CheckpointError(
                f"checkpoint {claim.checkpoint} is from before {claim.job} was reset at {_moment(owner.since)}",
                "move it away, or give another --checkpoint",
            )
        if owner.checkpoint_id == _RESET or (owner.checkpoint_id == claim.checkpoint_id and not claim.fresh):
            return str(owner.checkpoint_id)
        filled = next((table for table in tables if _holds_rows(session, settings, table)), None)
        if filled is None and claim.fresh:
            return str(owner.checkpoint_id)
        anew = f"begin anew with `adstream reset {claim.job}`"
        table = f"{settings.keyspace}.{filled or tables[0]}"
        if owner.checkpoint_id == claim.checkpoint_id:
            raise CheckpointError(
                f"checkpoint {claim.checkpoint} has lost its batches, and {table} holds what they counted",
                f"restore it from a backup, or {anew}",
            )
        raise CheckpointError(
            f"checkpoint {owner.checkpoint} counts {claim.source} into {table} already",
            f"go on with it by --checkpoint, or {anew}",
        )


def take(settings: CassandraSettings, claim: Claim, before: str | None) -> None:
    """Record the checkpoint as the owner of the tables, in place of `before`. Call this before its first batch.

    Raises CheckpointError if another checkpoint was faster, and the errors of `common.cassandra.session.open_session`.
    """
    if before == claim.checkpoint_id:
        return
    values = (claim.checkpoint_id, claim.checkpoint, datetime.now(UTC), claim.job, claim.source)
    with connect(settings, keyspace=settings.keyspace) as session:
        if before is None:
            query = (
                "INSERT INTO job_checkpoints (checkpoint_id, checkpoint, since, job, source) "
                "VALUES (%s, %s, %s, %s, %s) IF NOT EXISTS"
            )
            done = _run(session, settings, query, *values)
        else:
            query = (
                "UPDATE job_checkpoints SET checkpoint_id = %s, checkpoint = %s, since = %s "
                "WHERE job = %s AND source = %s IF checkpoint_id = %s"
            )
            done = _run(session, settings, query, *values, before)
        # A first attempt that timed out may have taken the tables.
        if not done.was_applied and _owner(session, settings, claim).checkpoint_id != claim.checkpoint_id:
            raise CheckpointError(
                f"another checkpoint of {claim.job} began to count {claim.source} at the same time",
                "stop all drivers of the job but one",
            )


def forget(settings: CassandraSettings, job: str) -> None:
    """Let only a new checkpoint begin, for every source that the job has counted."""
    with connect(settings, keyspace=settings.keyspace) as session:
        for row in _run(session, settings, "SELECT source FROM job_checkpoints WHERE job = %s", job):
            query = (
                "UPDATE job_checkpoints SET checkpoint_id = %s, checkpoint = %s, since = %s "
                "WHERE job = %s AND source = %s IF EXISTS"
            )
            _run(session, settings, query, _RESET, _RESET, datetime.now(UTC), job, row.source)


def _owner(session: Session, settings: CassandraSettings, claim: Claim) -> Any:  # noqa: ANN401 - the driver's row
    query = "SELECT checkpoint_id, checkpoint, since FROM job_checkpoints WHERE job = %s AND source = %s"
    return _run(session, settings, query, claim.job, claim.source).one()


def _holds_rows(session: Session, settings: CassandraSettings, table: str) -> bool:
    query = SimpleStatement(f"SELECT * FROM {table} LIMIT 1")  # noqa: S608
    return _answer(session, settings, query).one() is not None


def _run(session: Session, settings: CassandraSettings, statement: str, *values: object) -> Any:  # noqa: ANN401
    levels = {"consistency_level": ConsistencyLevel.QUORUM, "serial_consistency_level": ConsistencyLevel.SERIAL}
    return _answer(session, settings, SimpleStatement(statement, **levels), *values)


def _answer(session: Session, settings: CassandraSettings, query: SimpleStatement, *values: object) -> Any:  # noqa: ANN401
    try:
        return retries.call(lambda: session.execute(query, values), on=TRANSIENT)
    except DRIVER_ERRORS as error:
        raise explain(error, settings) from error


def _moment(time: datetime) -> str:
    return f"{time.replace(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"
