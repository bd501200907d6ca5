"""A power cut under Kafka: after it the newest messages of a partition are gone, as if no disk had them yet."""

import struct
from pathlib import Path

from common.settings import Settings

_HEAD = struct.Struct(">qi")  # of a batch of records: its first offset, and its length behind this head


def begins(settings: Settings, topic: str, partition: int) -> list[int]:
    """Return the first offset of each batch of records in the partition's newest segment."""
    return [offset for _place, offset in _batches(_segment(settings, topic, partition))]


def cut(settings: Settings, topic: str, partition: int, offset: int) -> None:
    """Cut a partition's log from the begin of a batch of records on, while Kafka is down.

    Kafka flushes a segment when it is full or when Kafka stops in order. This one was never flushed.
    """
    segment = _segment(settings, topic, partition)
    assert offset >= _flushed(segment.parents[1], topic, partition), "a power cut would not take these messages"
    [place] = [place for place, begin in _batches(segment) if begin == offset]
    with segment.open("r+b") as file:
        file.truncate(place)


def _segment(settings: Settings, topic: str, partition: int) -> Path:
    return max((settings.data_dir.absolute() / "kafka" / "logs" / f"{topic}-{partition}").glob("*.log"))


def _batches(segment: Path) -> list[tuple[int, int]]:
    """Return the place in the file and the first offset of each batch of records."""
    data, place, found = segment.read_bytes(), 0, []
    while place + _HEAD.size <= len(data):
        offset, length = _HEAD.unpack_from(data, place)
        found.append((place, offset))
        place += _HEAD.size + length
    return found


def _flushed(logs: Path, topic: str, partition: int) -> int:
    """Return the offset up to which Kafka has noted the partition as flushed."""
    lines = (logs / "recovery-point-offset-checkpoint").read_text(encoding="ascii").splitlines()
    noted = {(name, int(number)): int(offset) for name, number, offset in (line.rsplit(" ", 2) for line in lines[2:])}
    return noted.get((topic, partition), 0)
