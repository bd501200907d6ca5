"""Find the rows with the same replicas, so that a batch of them is one request to one of these nodes.

The coordinator of a batch with mixed rows must forward most of them. The coordinator of a batch with the same replicas
need not, and one round trip serves many rows.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cassandra.metadata import murmur3

from streaming.sinks.cql_columns import value_of

# Cassandra's partitioner reserves the smallest token, and uses the largest one in its place.
_SMALLEST_TOKEN, _LARGEST_TOKEN = -(2**63), 2**63 - 1


class ReplicaSets:
    """The keyspace's token ring at this moment. A later change of the ring only costs speed."""

    def __init__(self, metadata: Any, keyspace: str) -> None:  # noqa: ANN401 - the driver has no types
        self._ring: list[int] = []
        self._numbers: list[int] = []
        known: dict[frozenset[Any], int] = {}
        token_map = metadata.token_map
        for token in token_map.ring if token_map else ():
            replicas = frozenset(host.host_id for host in token_map.get_replicas(keyspace, token))
            self._ring.append(token.value)
            self._numbers.append(known.setdefault(replicas, len(known)))
        self.count = max(1, len(known))

    def divide(self, key: Sequence[pa.BinaryArray]) -> Iterator[tuple[int, npt.NDArray[np.int64] | None]]:
        """Yield each number of these rows, and the places of the rows with this number; None is all rows.

        `key` are the columns of their partition key.
        """
        if self.count == 1:
            yield 0, None
            return
        columns = [[value_of(value) for value in column] for column in key]
        numbers = np.fromiter(map(self.number, zip(*columns, strict=True)), np.int64, len(columns[0]))
        for number in np.unique(numbers).tolist():
            yield number, np.flatnonzero(numbers == number)

    def number(self, partition_key: Sequence[bytes]) -> int:
        """Return a number that partitions with the same replicas share.

        `partition_key` is the key's encoded columns in order.
        """
        if self.count == 1:
            return 0
        token = murmur3(_routing_key(partition_key))
        place = bisect_left(self._ring, _LARGEST_TOKEN if token == _SMALLEST_TOKEN else token)
        return self._numbers[place % len(self._ring)]


def _routing_key(columns: Sequence[bytes]) -> bytes:
    if len(columns) == 1:
        return columns[0]
    return b"".join(struct.pack(f">H{len(column)}sB", len(column), column, 0) for column in columns)
