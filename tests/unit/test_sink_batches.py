"""Which rows travel together: by replica set, and bounded."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from cassandra.connection import DefaultEndPoint
from cassandra.metadata import KeyspaceMetadata, Murmur3Token, TokenMap
from cassandra.policies import SimpleConvictionPolicy
from cassandra.pool import Host

from streaming.sinks.batching import Batching
from streaming.sinks.replica_sets import ReplicaSets

KEYS = [f"ad-{number}".encode() for number in range(500)]


def cluster(nodes: int, replication_factor: int) -> SimpleNamespace:
    """The driver's own token map of a cluster whose nodes share the ring in four pieces each."""
    hosts = [
        Host(DefaultEndPoint(f"10.0.0.{number}"), SimpleConvictionPolicy, host_id=UUID(int=number))
        for number in range(nodes)
    ]
    pieces = 4 * nodes
    step = 2**64 // pieces
    owners = {Murmur3Token(-(2**63) + place * step): hosts[place % nodes] for place in range(1, pieces)}
    keyspace = KeyspaceMetadata("ads", True, "SimpleStrategy", {"replication_factor": str(replication_factor)})
    metadata = SimpleNamespace(keyspaces={"ads": keyspace})
    metadata.token_map = TokenMap(Murmur3Token, owners, sorted(owners), metadata)
    return metadata


@pytest.mark.parametrize(("nodes", "replication_factor", "sets"), [(3, 1, 3), (3, 2, 3), (3, 3, 1), (1, 1, 1)])
def test_keys_share_a_number_exactly_when_they_share_their_replicas(
    nodes: int, replication_factor: int, sets: int
) -> None:
    metadata = cluster(nodes, replication_factor)
    replica_sets = ReplicaSets(metadata, "ads")
    assert replica_sets.count == sets
    seen: dict[int, set[frozenset[UUID]]] = {}
    for key in KEYS:
        replicas = metadata.token_map.get_replicas("ads", Murmur3Token.from_key(key))
        seen.setdefault(replica_sets.number([key]), set()).add(frozenset(host.host_id for host in replicas))
    assert len(seen) == sets
    assert all(len(replicas) == 1 for replicas in seen.values())


def test_a_key_of_several_columns_is_hashed_as_cassandra_does() -> None:
    metadata = cluster(3, 1)
    replica_sets = ReplicaSets(metadata, "ads")
    for key in KEYS:
        composite = b"\x00" + bytes([len(key)]) + key + b"\x00" + b"\x00\x04day!\x00"
        (owner,) = metadata.token_map.get_replicas("ads", Murmur3Token.from_key(composite))
        (same,) = (
            host
            for number, host in owners_by_number(metadata, replica_sets).items()
            if number == replica_sets.number([key, b"day!"])
        )
        assert owner == same


def owners_by_number(metadata: SimpleNamespace, replica_sets: ReplicaSets) -> dict[int, Host]:
    return {
        replica_sets.number([key]): metadata.token_map.get_replicas("ads", Murmur3Token.from_key(key))[0]
        for key in KEYS[:100]
    }


def test_without_a_token_map_all_rows_go_together() -> None:
    assert ReplicaSets(SimpleNamespace(token_map=None), "ads").number([b"ad-1"]) == 0


def sent(rows: list[tuple[str, int]], max_rows: int, max_bytes: int) -> list[tuple[str, list[int]]]:
    batching: Batching[str, int] = Batching(max_rows, max_bytes)
    full = [(place, batch) for place, size in rows for batch in batching.add(place, size, size)]
    rest = list(batching.rest())
    assert list(batching.rest()) == []
    return full + rest


def test_batches_are_bounded_in_rows_per_place() -> None:
    rows = [("a", 1), ("b", 1), ("a", 1), ("a", 1), ("b", 1)]
    assert sorted(sent(rows, 2, 100)) == [("a", [1]), ("a", [1, 1]), ("b", [1, 1])]


def test_batches_are_bounded_in_bytes_and_a_large_row_goes_alone() -> None:
    rows = [("a", 4), ("a", 5), ("a", 2), ("a", 50), ("a", 3), ("a", 7), ("a", 1)]
    assert sent(rows, 100, 10) == [("a", [4, 5]), ("a", [2]), ("a", [50]), ("a", [3, 7]), ("a", [1])]
