"""The updates topic of a job: its name, the applied offsets, and the recovery of a query whose rows may be gone.

Rows that Spark has committed and nobody has applied exist in that topic only. So the checkpoint notes the newest batch
with all its rows in the tables. If the topic is gone, or is another one of the same name, the query goes back to that
batch. It makes the rows of all later batches again. Rows that were applied already lose by their versions.

The query goes back too if a partition has a new leader. After a power cut the new leader may lack the newest rows, also
rows that Kafka has acknowledged (common.kafka.log_cuts). Spark does not say at which offsets it wrote, so nobody could
say whether rows are gone. A row that was applied before is not missed. Where two replicas acknowledge each row, a new
leader lacks none, and the query goes on.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from common import kafka
from common.errors import AdstreamError, TopicNotFound
from common.kafka.updates_group import Applied, behind
from common.provision import updates_spec, updates_topic
from common.settings import Settings
from streaming.job import Job
from streaming.real_time import settling
from streaming.recovery.checkpoint import Checkpoint

APPLIED, _TOPICS = "applied", "updates"


class UpdatesLost(Exception):
    """Rows of a running query may be gone: the topic was deleted, or has a new leader."""


class Updates:
    """The updates topic of one job with one checkpoint."""

    def __init__(
        self,
        topic: str,
        applied: Applied,
        checkpoint: Checkpoint,
        notice: Callable[[str], None],
        *,
        create: Callable[[], object],
    ) -> None:
        """`applied` answers about the topic and its group, and `create()` creates the topic if it is missing."""
        self.topic = topic
        self._applied, self._checkpoint, self._notice, self._create = applied, checkpoint, notice, create
        self._id = ""
        # The topic's id and its leader epochs, when the query began; without epochs if a new leader lacks no row.
        self._log = ""
        self._replicated = False
        # Committed batches that are not known to be applied, and the topic's end after each.
        self._waiting: deque[tuple[int, Mapping[int, int]]] = deque(maxlen=1_000)

    @classmethod
    def in_kafka(cls, settings: Settings, job: Job, checkpoint: Checkpoint, notice: Callable[[str], None]) -> "Updates":
        """Return the updates topic of the job in Kafka. Its methods raise the errors of `kafka.end_offsets`."""
        topic = updates_topic(settings, job.name)
        create = partial(kafka.create_topics, settings, [updates_spec(settings, topic)])
        return cls(topic, Applied(settings, topic), checkpoint, notice, create=create)

    def make(self) -> None:
        """Create the topic if it is missing. Raises the errors of `kafka.create_topics`."""
        self._create()

    def open(self) -> None:
        """Create the topic if it is missing. Go back to the last applied batch if later rows may be gone."""
        self.make()
        self._replicated = self._applied.copies() > 1
        self._id, self._log = self._present()
        before = self._checkpoint.kept(_TOPICS)
        # Earlier releases kept the id alone.
        if before is not None and before not in (self._log, self._id):
            self._go_back("has a new leader, which may lack rows" if before.startswith(self._id) else "was deleted")
        if before != self._log:
            self._checkpoint.keep(_TOPICS, self._log)

    def committed(self, batch_id: int) -> None:
        """Note the topic's end after a committed batch: all rows of the batch are in the topic."""
        with suppress(AdstreamError):  # the next batch's note then covers it
            self._waiting.append((batch_id, self._applied.ends()))

    def note_applied(self) -> None:
        """Record newly applied rows, now and then. Raises UpdatesLost, and the errors of `kafka.end_offsets`."""
        try:
            upto = self._applied.upto(self._waiting[-1][1], self._id) if self._waiting else {}
            # Asked last: until now all rows of these batches were there to be applied.
            present = self._present()
        except TopicNotFound:
            raise UpdatesLost from None
        if present != (self._id, self._log):
            raise UpdatesLost
        done = None
        while self._waiting and not behind(upto, self._waiting[0][1]):
            done, _ = self._waiting.popleft()
        if done is not None:
            self._checkpoint.mark(APPLIED, done)

    def all_applied(self) -> bool:
        """Return whether all present rows of the topic are in the tables. Raises the errors of `kafka.end_offsets`."""
        ends = self._applied.ends()
        return not behind(self._applied.upto(ends, self._id), ends)

    def close(self) -> None:
        self._applied.close()

    def _present(self) -> tuple[str, str]:
        """Return the id of the present topic, and a text that changes with the topic and with each new leader."""
        topic_id = self._applied.topic_id()
        leaders = {} if self._replicated else self._applied.leader_epochs()
        return topic_id, f"{topic_id} {json.dumps(leaders, sort_keys=True)}"

    def _go_back(self, why: str) -> None:
        applied = self._checkpoint.marked(APPLIED)
        batch_id = -1 if applied is None else applied
        again = len(self._checkpoint.committed_after(batch_id))
        settled = self._checkpoint.marked(settling.NOTE)
        if settled is not None and settled > batch_id:
            self._checkpoint.mark(settling.NOTE, batch_id)
        self._checkpoint.back_to(batch_id)
        self._waiting.clear()
        self._notice(
            f"topic {self.topic} {why}: the rows of {again} batches that may have been in it only are made again"
        )
