"""Read a (local) checkpoint of a job: its options, its first offsets, and the offsets of each batch."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common.errors import CheckpointError
from common.kafka.isolation import made_at_level
from common.system.checkpoint_folders import RECORD

Offsets = dict[int, int]
_REMEDY = "run `adstream stream ad-metrics` first"


@dataclass(frozen=True)
class Batch:
    """A batch by its number, with the end offset of each partition."""

    number: int
    ends: Offsets


class JobCheckpoint:
    """A checkpoint, read from Spark's own files.

    Raises CheckpointError if the files do not belong to a job that has run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.options: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
            self.topic, self.topic_id = self.options["topic"], self.options["topic_id"]
            self.query: str = json.loads((path / "metadata").read_text(encoding="utf-8"))["id"]
            self.id: str = self.options.get("id", self.query)
            self.start = self._parsed(self._last_line(path / "sources" / "0" / "0"))
        except (OSError, ValueError, LookupError, AttributeError):
            raise CheckpointError(f"{path} is not a checkpoint of a job that has run on a topic", _REMEDY) from None
        self.window = timedelta(seconds=self.options["window_seconds"])
        self.slide = timedelta(seconds=self.options["slide_seconds"])
        self.lateness = timedelta(seconds=self.options["lateness_seconds"])
        self.dedupe = bool(self.options["dedupe"])
        self.real_time = bool(self.options.get("real_time"))
        self.isolation = made_at_level(self.options)
        self.made = datetime.fromtimestamp((path / RECORD).stat().st_mtime, UTC)

    def committed(self) -> Batch:
        """Return the last committed batch: Cassandra has acknowledged all rows of it and of the batches before.

        In real-time mode, return the last batch whose dead letters are written. The job writes them after the batch's
        commit.
        """
        numbers = self._numbers("settled" if self.real_time else "commits")
        if not numbers:
            raise CheckpointError(f"{self.path} holds no committed batch", _REMEDY)
        return self._batch(max(numbers))

    def begun_after(self, last: int) -> list[Batch]:
        """Return the batches after that number, in order. Includes the batch in flight, which Spark has planned."""
        numbers = [number for number in self._numbers("offsets") if number > last]
        return [self._batch(number) for number in sorted(numbers)]

    def _numbers(self, folder: str) -> list[int]:
        return [int(file.name) for file in (self.path / folder).glob("*") if file.name.isdigit()]

    def _batch(self, number: int) -> Batch:
        try:
            return Batch(number, self._parsed(self._last_line(self.path / "offsets" / str(number))))
        except (OSError, ValueError, KeyError):
            raise CheckpointError(f"{self.path} does not hold the offsets of batch {number}", "verify again") from None

    def _parsed(self, line: str) -> Offsets:
        return {int(partition): int(offset) for partition, offset in json.loads(line)[self.topic].items()}

    @staticmethod
    def _last_line(file: Path) -> str:
        return file.read_text(encoding="utf-8").strip().splitlines()[-1]
