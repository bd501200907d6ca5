"""The updates topic of a job: its name, the applied offsets, and the recovery of a query that has lost it.

Rows that Spark has committed and nobody has applied exist in that topic only. So the checkpoint notes the newest batch
with all its rows in the tables. If the topic is gone, or is another one of the same name, the query goes back to that
batch. It makes the rows of all later batches again. Rows that were applied already lose by their versions.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from common import kafka
from common.errors import AccessDenied, AdstreamError, ServiceUnavailable, TopicNotFound
from common.kafka.updates_group import Applied, behind
from common.provision import updates_spec, updates_topic
from common.settings import Settings
from streaming.job import Job
from streaming.real_time import settling
from streaming.recovery.checkpoint import Checkpoint

APPLIED, _TOPICS = "applied", "updates"
_ASK_EVERY_SECONDS = 2.0


class UpdatesLost(Exception):
    """The topic was deleted while a query writes to it."""


class Updates:
    """The updates topic of one job with one checkpoint."""

    def __init__(self, settings: Settings, job: Job, checkpoint: Checkpoint, notice: Callable[[str], None]) -> None:
        self.topic = updates_topic(settings, job.name)
        self._settings, self._checkpoint, self._notice = settings, checkpoint, notice
        self._applied = Applied(settings, self.topic)
        self._id = ""
        self._next = 0.0
        # Committed batches that are not known to be applied, and the topic's end after each.
        self._waiting: deque[tuple[int, Mapping[int, int]]] = deque(maxlen=1_000)

    def open(self) -> None:
        """Create the topic if it is missing. If it is another topic than before, go back to the last applied batch."""
        kafka.create_topics(self._settings, [updates_spec(self._settings, self.topic)])
        self._id = self._applied.topic_id()
        known = self._checkpoint.notes(_TOPICS)
        if known and known[-1] != self._id:
            self._go_back()
        if not known or known[-1] != self._id:
            self._checkpoint.note(_TOPICS, self._id)

    def committed(self, batch_id: int) -> None:
        """Note the topic's end after a committed batch: all rows of the batch are in the topic."""
        with suppress(AdstreamError):  # the next batch's note then covers it
            self._waiting.append((batch_id, self._applied.ends()))

    def poll(self) -> None:
        """Record newly applied rows, now and then. Raises UpdatesLost."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _ASK_EVERY_SECONDS
        try:
            if self._applied.topic_id() != self._id:
                raise UpdatesLost
            self._note_applied()
        except TopicNotFound:
            raise UpdatesLost from None
        except (ServiceUnavailable, AccessDenied):
            pass  # the next poll asks again

    def all_applied(self) -> bool:
        """Return whether all present rows of the topic are in the tables. Raises the errors of `kafka.end_offsets`."""
        ends = self._applied.ends()
        return not behind(self._applied.upto(ends, self._id), ends)

    def close(self) -> None:
        self._applied.close()

    def _note_applied(self) -> None:
        if not self._waiting:
            return
        _, newest = self._waiting[-1]
        upto, done = self._applied.upto(newest, self._id), None
        while self._waiting and not behind(upto, self._waiting[0][1]):
            done, _ = self._waiting.popleft()
        if done is not None:
            self._checkpoint.mark(APPLIED, done)

    def _go_back(self) -> None:
        applied = self._checkpoint.marked(APPLIED)
        batch_id = -1 if applied is None else applied
        again = len(self._checkpoint.committed_after(batch_id))
        settled = self._checkpoint.marked(settling.NOTE)
        if settled is not None and settled > batch_id:
            self._checkpoint.mark(settling.NOTE, batch_id)
        self._checkpoint.back_to(batch_id)
        self._waiting.clear()
        self._notice(
            f"topic {self.topic} was deleted: the rows of {again} batches that may have been in it only are made again"
        )
