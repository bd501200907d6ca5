"""Refuse to go on if Kafka has lost messages that the job has counted: other messages may have their offsets then.

The checkpoint keeps the leader epoch of each partition, and the offset up to which the job had counted in it
(common.kafka.log_cuts). A micro-batch in which an epoch changes is not committed, since nobody could say which of its
messages came before the change. It runs again after the check. A real-time batch is checked after its commit.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial

from common import kafka
from common.errors import CheckpointError, ServiceUnavailable, TopicNotFound
from common.kafka.admin import Admin
from common.kafka.log_cuts import Known, cuts
from common.settings import Settings
from streaming.micro_batch.writer import PlanAgain
from streaming.recovery.checkpoint import Checkpoint

_FOLDER = "epochs"


class LeaderChanged(PlanAgain):
    """A partition got a new leader while a batch was read."""


class CountedLog:
    """The messages of one topic that one checkpoint has counted."""

    def __init__(
        self,
        topic: str,
        checkpoint: Checkpoint,
        *,
        real_time: bool,
        epochs: Callable[[], Mapping[int, int]],
        cuts: Callable[[Mapping[int, Known]], Mapping[int, int]],
    ) -> None:
        """`epochs()` returns the partitions' leader epochs; `cuts(known)` answers as common.kafka.log_cuts does."""
        self._topic, self._checkpoint, self._real_time = topic, checkpoint, real_time
        self._present, self._cuts = epochs, cuts
        self._epochs: Mapping[int, int] = {}

    @classmethod
    def in_kafka(cls, settings: Settings, topic: str, checkpoint: Checkpoint, *, real_time: bool) -> "CountedLog":
        """Return one that asks Kafka over one connection. Its methods raise ServiceUnavailable."""
        present = partial(_epochs, settings, topic, kafka.connected(settings.kafka))
        return cls(topic, checkpoint, real_time=real_time, epochs=present, cuts=partial(cuts, settings, topic))

    def check(self) -> None:
        """Compare what was counted with the log, and keep the present epochs: before a query and after a batch.

        Raises CheckpointError if counted messages are gone.
        """
        counted = self._checkpoint.next_offsets(self._topic)
        now = self._present()
        kept = self._kept()
        doubtful = {
            partition: Known(self._certain(each, counted[partition]), each.epoch)
            for partition, each in kept.items()
            if partition in counted and now.get(partition) != each.epoch
        }
        for partition, end in sorted(self._cuts(doubtful).items()):
            raise CheckpointError(
                f"checkpoint {self._checkpoint.path} has counted {self._topic}, partition {partition}, up to offset "
                f"{doubtful[partition].offset:,}, and Kafka has lost these messages from offset {end:,} on",
                "`adstream reset JOB` begins anew with what is left",
            )
        new = {partition: Known(counted.get(partition, 0), epoch) for partition, epoch in now.items()}
        if new != kept:
            self._checkpoint.keep(_FOLDER, json.dumps({each: [at.offset, at.epoch] for each, at in new.items()}))
        self._epochs = now

    def require_same_leaders(self) -> None:
        """Raise LeaderChanged if a partition has another leader than at the last check: one question to Kafka."""
        now = self._present()
        if any(now.get(partition) != epoch for partition, epoch in self._epochs.items()):
            raise LeaderChanged

    def _certain(self, kept: Known, counted: int) -> int:
        """Return the offset up to which the messages were there in the kept epoch.

        Every committed micro-batch was read in it. The last real-time batch may have gone on in a later one.
        """
        return min(kept.offset, counted) if self._real_time else counted

    def _kept(self) -> dict[int, Known]:
        found = json.loads(self._checkpoint.kept(_FOLDER) or "{}")
        return {int(partition): Known(offset, epoch) for partition, (offset, epoch) in found.items()}


def _epochs(settings: Settings, topic: str, admin: Admin) -> dict[int, int]:
    try:
        return kafka.leader_epochs(settings, topic, admin)
    except TopicNotFound:
        # A broker that has just come back may not know its topics yet.
        problem = f"Kafka does not know the topic {topic} at the moment"
        raise ServiceUnavailable(problem, "see whether somebody has deleted it") from None
