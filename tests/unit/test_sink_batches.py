"""The sink's batches: rows of one replica set, up to a limit."""

from itertools import pairwise
from types import SimpleNamespace
from uuid import UUID

import pyarrow as pa
import pytest
from cassandra.connection import DefaultEndPoint
from cassandra.cqltypes import UTF8Type
from cassandra.metadata import KeyspaceMetadata, Murmur3Token, TokenMap
from cassandra.policies import SimpleConvictionPolicy
from cassandra.pool import Host
from hypothesis import given
from hypothesis import strategies as st

from streaming.sinks.batching import Batch, Batching, Run
from streaming.sinks.cql_columns import encoded_values
from streaming.sinks.replica_sets import ReplicaSets

KEYS = [f"ad-{number}".encode() for number in range(500)]


def cluster(nodes: int, replication_factor: int) -> SimpleNamespace:
    """Return the driver's own token map of a cluster whose nodes share the ring in four pieces each."""
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


def test_rows_are_divided_by_their_number() -> None:
    replica_sets = ReplicaSets(cluster(3, 2), "ads")
    columns = [encoded_values([key.decode() for key in KEYS], UTF8Type, 5)]
    divided = dict(replica_sets.divide(columns))
    assert sorted(place for places in divided.values() for place in places) == list(range(len(KEYS)))
    for number, places in divided.items():
        assert {replica_sets.number([KEYS[place]]) for place in places} == {number}
    assert list(ReplicaSets(cluster(1, 1), "ads").divide(columns)) == [(0, None)]


def test_without_a_token_map_all_rows_go_together() -> None:
    assert ReplicaSets(SimpleNamespace(token_map=None), "ads").number([b"ad-1"]) == 0


def rows_of(values: list[int], extra: int) -> Run:
    """Return rows of these sizes in bytes, each with `extra` bytes of overhead. A row's bytes repeat its size."""
    return Run(pa.array([bytes([size]) * (size - extra) for size in values], pa.binary()), extra)


def sent(
    rows: list[tuple[str, int]], max_rows: int, max_bytes: int, *, at_once: bool = False
) -> list[tuple[str, list[int]]]:
    """Return the batches as the sizes of their rows.

    Rows come one by one, or all rows of a place `at_once`.
    """
    batching: Batching[str] = Batching(max_rows, max_bytes)
    runs = [(place, [size]) for place, size in rows]
    if at_once:
        places = dict.fromkeys(place for place, _ in rows)
        runs = [(place, [size for other, size in rows if other == place]) for place in places]
    full = [(place, batch) for place, sizes in runs for batch in batching.add(place, rows_of(sizes, 0))]
    rest = list(batching.rest())
    assert list(batching.rest()) == []
    return [(place, sizes_in(batch)) for place, batch in full + rest]


def sizes_in(batch: Batch, extra: int = 0) -> list[int]:
    data, sizes = b"".join(part.data for part in batch.parts), []
    while data:
        sizes.append(data[0])
        data = data[data[0] - extra :]
    assert (batch.rows, batch.size) == (len(sizes), sum(sizes))
    return sizes


@pytest.mark.parametrize("at_once", [False, True])
def test_batches_are_bounded_in_rows_per_place(at_once: bool) -> None:
    rows = [("a", 1), ("b", 1), ("a", 1), ("a", 1), ("b", 1)]
    assert sorted(sent(rows, 2, 100, at_once=at_once)) == [("a", [1]), ("a", [1, 1]), ("b", [1, 1])]


@pytest.mark.parametrize("at_once", [False, True])
def test_batches_are_bounded_in_bytes_and_a_large_row_goes_alone(at_once: bool) -> None:
    rows = [("a", 4), ("a", 5), ("a", 2), ("a", 50), ("a", 3), ("a", 7), ("a", 1)]
    assert sent(rows, 100, 10, at_once=at_once) == [("a", [4, 5]), ("a", [2]), ("a", [50]), ("a", [3, 7]), ("a", [1])]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(6, 60), max_size=30)), max_size=6),
    st.integers(1, 9),
    st.integers(5, 200),
)
def test_all_rows_are_sent_once_and_in_their_order(
    runs: list[tuple[str, list[int]]], max_rows: int, max_bytes: int
) -> None:
    batching: Batching[str] = Batching(max_rows, max_bytes)
    batches = [(place, batch) for place, sizes in runs for batch in batching.add(place, rows_of(sizes, 5))]
    batches += batching.rest()
    for place in "ab":
        expected = [size for other, sizes in runs for size in sizes if other == place]
        ours = [batch for other, batch in batches if other == place]
        assert [size for batch in ours for size in sizes_in(batch, 5)] == expected
        assert all(0 < batch.rows <= max_rows for batch in ours)
        assert all(batch.size <= max_bytes or batch.rows == 1 for batch in ours)
        for batch, following in pairwise(ours):
            full = batch.rows == max_rows or batch.size + sizes_in(following, 5)[0] > max_bytes
            assert full, "a batch was sent with room for another row"
