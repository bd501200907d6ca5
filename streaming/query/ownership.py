"""The checkpoint that may count into the tables of a job: this one, or the run is refused."""

from common.bookkeeping import job_checkpoints
from common.settings import Settings
from streaming.recovery.checkpoint import Checkpoint


class Ownership:
    """The ownership of a job's tables, by one checkpoint over one source. A job without tables owns nothing.

    `fresh` says that the tables cannot have rows of this checkpoint yet.
    """

    def __init__(
        self, settings: Settings, job: str, source: str, checkpoint: Checkpoint, tables: tuple[str, ...]
    ) -> None:
        self._settings = settings
        self._job, self._source = job, source
        self._checkpoint = checkpoint
        self._tables = tables
        self._before: str | None = None
        self._counts = False

    def require(self, *, fresh: bool) -> None:
        """Raise CheckpointError if another checkpoint counts. Raises the errors of `job_checkpoints.require` too."""
        if self._tables:
            self._before = job_checkpoints.require(self._settings.cassandra, self._claim(fresh=fresh), self._tables)

    def take(self, *, fresh: bool) -> None:
        """Record the checkpoint as the owner of the tables, once."""
        if self._tables and not self._counts:
            job_checkpoints.take(self._settings.cassandra, self._claim(fresh=fresh), self._before)
            self._counts = True

    def _claim(self, *, fresh: bool) -> job_checkpoints.Claim:
        checkpoint = self._checkpoint
        return job_checkpoints.Claim(self._job, self._source, checkpoint.id, checkpoint.path, fresh=fresh)
