"""Refuse to archive on if Kafka has lost messages that the archive holds: other messages may have their offsets then.

The archive keeps the leader epoch of each partition (common.kafka.log_cuts). A run first asks where each partition ends
and in which epoch, keeps the epochs, and reads no further than these ends. So all archived messages were in the log in
the kept epochs, also those of a run that is killed.
"""

import json
from collections.abc import Callable, Mapping

from common.errors import BadInput
from common.kafka.log_cuts import NO_EPOCH, Known
from streaming.recovery.checkpoint import Checkpoint

# Spark ignores folders with this prefix.
_FOLDER = "_epochs"


def require_kept(
    note: Checkpoint,
    topic: str,
    archived: Mapping[int, int],
    log: Mapping[int, Known],
    cuts: Callable[[Mapping[int, Known]], Mapping[int, int]],
) -> None:
    """Raise BadInput if messages are gone that are `archived`, up to these offsets. Keep the present epochs otherwise.

    `log` has each partition's present end and leader epoch. `cuts(known)` answers as common.kafka.log_cuts.
    """
    epochs = {int(partition): epoch for partition, epoch in json.loads(note.kept(_FOLDER) or "{}").items()}
    # A release before this one has kept no epochs: then only an end before the archive's shows a loss.
    shorter = {partition: at.offset for partition, at in log.items() if at.offset < archived.get(partition, 0)}
    doubtful = {
        partition: Known(archived.get(partition, 0), epochs.get(partition, NO_EPOCH))
        for partition, at in log.items()
        if at.epoch != epochs.get(partition)
    }
    for partition, end in sorted({**shorter, **cuts(doubtful)}.items()):
        raise BadInput(
            f"{note.path} has archived {topic}, partition {partition}, up to offset {archived[partition]:,}, and Kafka"
            f" has lost these messages from offset {end:,} on",
            "archive into another folder from now on",
        )
    present = {partition: at.epoch for partition, at in log.items()}
    if present != epochs:
        note.keep(_FOLDER, json.dumps(present))
