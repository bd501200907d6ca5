"""Rows gathered into batches, one being filled per place; a batch is bounded in rows and in bytes."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)
Row = TypeVar("Row")


@dataclass
class _Filling(Generic[Row]):
    rows: list[Row] = field(default_factory=list)
    bytes: int = 0


class Batching(Generic[Place, Row]):
    """Holds back at most one unfinished batch per place."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._filling: dict[Place, _Filling[Row]] = {}

    def add(self, place: Place, row: Row, size: int) -> Iterator[list[Row]]:
        """Take a row of `size` bytes, and yield what is full now. A row over the bound goes alone."""
        batch = self._filling.get(place)
        if batch is not None and batch.bytes + size > self._max_bytes:
            yield self._filling.pop(place).rows
            batch = None
        if batch is None:
            batch = self._filling[place] = _Filling()
        batch.rows.append(row)
        batch.bytes += size
        if len(batch.rows) >= self._max_rows or batch.bytes >= self._max_bytes:
            yield self._filling.pop(place).rows

    def rest(self) -> Iterator[tuple[Place, list[Row]]]:
        """The unfinished batches; none is left."""
        while self._filling:
            place, batch = self._filling.popitem()
            yield place, batch.rows
