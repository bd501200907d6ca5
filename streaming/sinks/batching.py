"""Gather encoded rows into batches: one open batch per place, limited in rows and in bytes."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Place = TypeVar("Place", bound=Hashable)


class Run:
    """Rows that were encoded together, and the columns of their partition key."""

    def __init__(self, rows: pa.BinaryArray, extra: int, key: Sequence[pa.BinaryArray] = ()) -> None:
        """Count each row with its own bytes plus `extra`."""
        _, offsets, data = rows.buffers()
        self.key = key
        self._rows = rows
        self._extra = extra
        self._data = memoryview(data or b"")
        self._ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
        self._sizes = self._ends + np.arange(len(rows) + 1, dtype=np.int64) * extra

    def of(self, chosen: npt.NDArray[np.int64]) -> "Run":
        """Return the rows at these places."""
        return Run(self._rows.take(chosen), self._extra, [column.take(chosen) for column in self.key])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def fitting(self, first: int, rows: int, size: int) -> int:
        """Return the end of the rows from `first` on that fit into this many rows and this many bytes."""
        end = int(np.searchsorted(self._sizes, self._sizes[first] + size, side="right")) - 1
        return max(first, min(end, first + rows, len(self)))

    def part(self, first: int, end: int) -> "Part":
        data = self._data[self._ends[first] : self._ends[end]]
        return Part(self, first, end - first, int(self._sizes[end] - self._sizes[first]), data)


@dataclass(frozen=True)
class Part:
    """Some consecutive rows of a run, and their bytes."""

    run: Run
    first: int
    rows: int
    size: int
    data: memoryview


@dataclass
class Batch:
    """Rows that travel together."""

    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    def append(self, part: Part) -> None:
        self.parts.append(part)
        self.rows += part.rows
        self.size += part.size


class Batching(Generic[Place]):
    """Holds back at most one unfinished batch per place."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._filling: dict[Place, Batch] = {}

    def add(self, place: Place, run: Run) -> Iterator[Batch]:
        """Take the rows of a run, and yield full batches. A row over the limit gets its own batch."""
        first = 0
        while first < len(run):
            batch = self._filling.setdefault(place, Batch())
            end = run.fitting(first, self._max_rows - batch.rows, self._max_bytes - batch.size)
            if end == first and not batch.rows:
                end += 1
            if end > first:
                batch.append(run.part(first, end))
            if end < len(run) or batch.rows >= self._max_rows or batch.size >= self._max_bytes:
                yield self._filling.pop(place)
            first = end

    def rest(self) -> Iterator[tuple[Place, Batch]]:
        """Yield the unfinished batches; none is left."""
        while self._filling:
            yield self._filling.popitem()
