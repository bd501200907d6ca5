"""Which rows live on the same nodes, so that a batch of them is one request to one of those nodes.

A batch of rows from anywhere makes its coordinator forward most of them; a batch of rows with the same replicas does
not, and costs one round trip for many rows.
"""

import struct
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from cassandra.metadata import murmur3

# Cassandra's partitioner gives the smallest token a meaning of its own, and uses the largest one in its place.
_SMALLEST_TOKEN, _LARGEST_TOKEN = -(2**63), 2**63 - 1


class ReplicaSets:
    """The keyspace's token ring as it is now; a ring that has changed since costs speed and nothing else."""

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

    def number(self, partition_key: Sequence[bytes]) -> int:
        """A number that partitions with the same replicas share; `partition_key` is its encoded columns in order."""
        if self.count == 1:
            return 0
        token = murmur3(_routing_key(partition_key))
        place = bisect_left(self._ring, _LARGEST_TOKEN if token == _SMALLEST_TOKEN else token)
        return self._numbers[place % len(self._ring)]


def _routing_key(columns: Sequence[bytes]) -> bytes:
    if len(columns) == 1:
        return columns[0]
    return b"".join(struct.pack(f">H{len(column)}sB", len(column), column, 0) for column in columns)
