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
    """Write down that these were archived, after the messages themselves."""
    rows = [[partition, each.begin, each.end, each.messages] for partition, each in sorted(passages.items())]
    note.note(_FOLDER, json.dumps(rows))


def read(note: Checkpoint) -> dict[int, Passage]:
    """All of each partition as one. Raises BadInput if the notes do not follow on each other."""
    notes = [json.loads(text) for text in note.notes(_FOLDER)]
    return joined({partition: Passage(*rest) for partition, *rest in rows} for rows in notes)


def joined(parts: Iterable[Mapping[int, Passage]]) -> dict[int, Passage]:
    """Passages that follow on each other as one of each partition."""
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
