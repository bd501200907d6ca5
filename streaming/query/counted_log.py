"""Refuse to go on if Kafka has lost messages that the job has counted: other messages may have their offsets then.

The checkpoint keeps the leader epoch of each partition, and the offset up to which the job had counted in it
(common.kafka.log_cuts). A micro-batch in which an epoch changes is not committed, since nobody could say which of its
messages came before the change. It runs again after the check. A real-time batch is checked after its commit.
While it runs, the job looks every two seconds how far the log reaches: what the batch has counted of that must still be
there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
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
        ends: Callable[[], Mapping[int, Known]],
        cuts: Callable[[Mapping[int, Known]], Mapping[int, int]],
    ) -> None:
        """`ends()` returns each partition's end and leader epoch; `cuts(known)` answers as common.kafka.log_cuts."""
        self._topic, self._checkpoint, self._real_time = topic, checkpoint, real_time
        self._ends, self._cuts = ends, cuts
        self._epochs: Mapping[int, int] = {}
        # Leader epoch -> how far the log reached at the last look under it, by partition. Looks since the last check.
        self._seen: dict[int, dict[int, Known]] = {}

    @classmethod
    def in_kafka(cls, settings: Settings, topic: str, checkpoint: Checkpoint, *, real_time: bool) -> "CountedLog":
        """Return one that asks Kafka over one connection. Its methods raise ServiceUnavailable."""
        ends = partial(_log_ends, settings, topic, kafka.connected(settings.kafka))
        return cls(topic, checkpoint, real_time=real_time, ends=ends, cuts=partial(cuts, settings, topic))

    def check(self) -> None:
        """Compare what was counted with the log, and keep the present epochs: before a query and after a batch.

        Raises CheckpointError if counted messages are gone.
        """
        counted = self._checkpoint.next_offsets(self._topic)
        now = self._present()
        kept = self._kept()
        for known in (kept, *self._seen.values()):
            self._require(known, counted, now)
        self._seen.clear()
        new = {partition: Known(counted.get(partition, 0), epoch) for partition, epoch in now.items()}
        if new != kept:
            self._checkpoint.keep(_FOLDER, json.dumps({each: [at.offset, at.epoch] for each, at in new.items()}))
        self._epochs = now

    def require_counted(self) -> None:
        """Raise CheckpointError if counted messages are gone. Keeps nothing, so the job may run meanwhile."""
        # The offsets first: the job may keep a new epoch, and then count messages that came in it.
        counted = self._checkpoint.next_offsets(self._topic)
        self._require(self._kept(), counted, self._present())

    def look(self) -> None:
        """Note how far the log reaches, now and then while a batch runs. Raises ServiceUnavailable."""
        for partition, end in self._ends().items():
            self._seen.setdefault(end.epoch, {})[partition] = end

    def require_same_leaders(self) -> None:
        """Raise LeaderChanged if a partition has another leader than at the last check: one question to Kafka."""
        now = self._present()
        if any(now.get(partition) != epoch for partition, epoch in self._epochs.items()):
            raise LeaderChanged

    def _require(self, known: Mapping[int, Known], counted: Mapping[int, int], now: Mapping[int, int]) -> None:
        """Raise CheckpointError if messages are gone that were known and are counted.

        Every committed micro-batch was read in the kept epoch. A real-time batch may have gone on in a later one.
        """
        doubtful = {
            partition: replace(
                each, offset=min(each.offset, counted[partition]) if self._real_time else counted[partition]
            )
            for partition, each in known.items()
            if partition in counted and now.get(partition) != each.epoch
        }
        for partition, end in sorted(self._cuts(doubtful).items()):
            raise CheckpointError(
                f"checkpoint {self._checkpoint.path} has counted {self._topic}, partition {partition}, up to offset "
                f"{doubtful[partition].offset:,}, and Kafka has lost these messages from offset {end:,} on",
                "`adstream reset JOB` begins anew with what is left",
            )

    def _present(self) -> dict[int, int]:
        return {partition: each.epoch for partition, each in self._ends().items()}

    def _kept(self) -> dict[int, Known]:
        found = json.loads(self._checkpoint.kept(_FOLDER) or "{}")
        return {int(partition): Known(offset, epoch) for partition, (offset, epoch) in found.items()}


def _log_ends(settings: Settings, topic: str, admin: Admin) -> dict[int, Known]:
    try:
        found = kafka.leader_ends(settings, topic, admin)
        return {partition: Known(end, epoch) for partition, (end, epoch) in found.items()}
    except TopicNotFound:
        # A broker that has just come back may not know its topics yet.
        problem = f"Kafka does not know the topic {topic} at the moment"
        raise ServiceUnavailable(problem, "see whether somebody has deleted it") from None
