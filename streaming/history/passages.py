"""The recorded ranges of an archive, by partition.

They are kept beside its messages, because a gap between messages proves no loss.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.errors import BadInput
from streaming.recovery.checkpoint import Checkpoint

# Spark ignores folders with this prefix.
_FOLDER = "_passages"


@dataclass(frozen=True)
class Passage:
    """The offsets from `begin` to `end` (not included) were read, and held this many messages."""

    begin: int
    end: int
    messages: int


def keep(note: Checkpoint, passages: Mapping[int, Passage]) -> None:
    """Write down these archived ranges. Call this after the messages themselves are written."""
    rows = [[partition, each.begin, each.end, each.messages] for partition, each in sorted(passages.items())]
    note.note(_FOLDER, json.dumps(rows))


def read(note: Checkpoint) -> dict[int, Passage]:
    """Read the ranges, joined to one for each partition. Raises BadInput if the records leave a gap or overlap."""
    notes = [json.loads(text) for text in note.notes(_FOLDER)]
    return joined({partition: Passage(*rest) for partition, *rest in rows} for rows in notes)


def joined(parts: Iterable[Mapping[int, Passage]]) -> dict[int, Passage]:
    """Join ranges that follow on each other into one for each partition."""
    found: dict[int, Passage] = {}
    for part in parts:
        for partition, each in part.items():
            before = found.get(partition, Passage(each.begin, each.begin, 0))
            if each.begin != before.end:
                raise BadInput(
                    f"the archive's notes on partition {partition} end at {before.end:,} and go on at {each.begin:,}",
                    "archive into another folder",
                )
            found[partition] = Passage(before.begin, each.end, before.messages + each.messages)
    return found
