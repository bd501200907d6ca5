"""Batches of encoded rows are the bytes that the driver itself would send."""

from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import ConsistencyLevel, cqltypes
from cassandra.protocol import BatchMessage, ProtocolHandler, QueryMessage
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, BoundStatement, PreparedStatement
from hypothesis import given
from hypothesis import strategies as st

from streaming.sinks import bulk
from streaming.sinks.cql_columns import encoded_values, joined, value_of

VERSION = 5
# The arguments that the driver's connections pass.
HOW: dict[str, Any] = {"compressor": None, "allow_beta_protocol_version": False}
PREPARED = PreparedStatement(
    [
        SimpleNamespace(keyspace_name="ads", table_name="views", name="name", type=cqltypes.UTF8Type),
        SimpleNamespace(keyspace_name="ads", table_name="views", name="views", type=cqltypes.LongType),
    ],
    b"0123456789abcdef",
    [0],
    "INSERT",
    "ads",
    VERSION,
    [],
    None,
)
ROWS = st.lists(st.tuples(st.text(min_size=1), st.none() | st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20)


def message(batch: BatchStatement, timestamp: int | None, keyspace: str | None) -> BatchMessage:
    """Return the message that a session makes of the statement."""
    queries = batch._statements_and_parameters
    return BatchMessage(batch.batch_type, queries, ConsistencyLevel.LOCAL_QUORUM, None, timestamp, keyspace)


def in_bulk(rows: list[tuple[str, int | None]]) -> BatchStatement:
    types = [column.type for column in PREPARED.column_metadata]
    columns = [encoded_values([row[place] for row in rows], kind, VERSION) for place, kind in enumerate(types)]
    half = len(rows) // 2
    encoded = joined(bulk.row_start(PREPARED), columns).to_pylist()
    parts = [b"".join(encoded[:half]), memoryview(b"".join(encoded[half:]))]
    return bulk.statement(PREPARED, bulk.EncodedRows(parts, len(rows), lambda column: value_of(columns[column][0])))


def by_driver(rows: list[tuple[str, int | None]]) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED)
    for name, views in rows:
        batch.add(BoundStatement(PREPARED).bind((name, UNSET_VALUE if views is None else views)))
    return batch


@given(ROWS, st.none() | st.integers(0, 2**62), st.sampled_from([None, "ads"]))
def test_a_batch_is_what_the_driver_would_send(
    rows: list[tuple[str, int | None]], timestamp: int | None, keyspace: str | None
) -> None:
    ours, theirs = in_bulk(rows), by_driver(rows)
    sent = bulk.BulkProtocol.encode_message(message(ours, timestamp, keyspace), 17, VERSION, **HOW)
    assert sent == ProtocolHandler.encode_message(message(theirs, timestamp, keyspace), 17, VERSION, **HOW)
    assert (ours.routing_key, ours.keyspace) == (theirs.routing_key, theirs.keyspace)
    assert ours.is_idempotent


@pytest.mark.parametrize(
    "other",
    [
        QueryMessage("SELECT 1", ConsistencyLevel.ONE),
        message(by_driver([("a", 1)]), 5, None),
        message(BatchStatement(), None, None),
    ],
)
def test_other_messages_are_the_drivers(other: Any) -> None:
    sent = bulk.BulkProtocol.encode_message(other, 17, VERSION, **HOW)
    assert sent == ProtocolHandler.encode_message(other, 17, VERSION, **HOW)
