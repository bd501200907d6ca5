"""BATCH requests of rows that are already encoded, over the driver's own connections.

The driver writes a batch value by value, and first makes objects for each row. This module copies the rows' part of the
message unchanged. The driver still does everything else: routing, timestamps, consistency, timeouts, preparing again,
retries.

`statement` makes a batch of one bound statement. Its values are `EncodedRows`, which reach the message unchanged.
`BulkProtocol`, the session's protocol handler, writes the message. Source: "Native protocol v5", section 4.1.7, in
Cassandra's documentation.
"""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

_PREPARED = 1
# A batch's kind and its number of rows. The rows follow.
_HEAD = struct.Struct(">BH")


def row_start(prepared: PreparedStatement) -> bytes:
    """Return the first bytes of each row in a batch: the statement's id, and the number of values."""
    query_id, values = prepared.query_id, len(prepared.column_metadata)
    return struct.pack(f">BH{len(query_id)}sH", _PREPARED, len(query_id), query_id, values)


class EncodedRows:
    """Encoded rows of a message. An index returns the first row's value of that column, for the routing key."""

    def __init__(self, parts: Sequence[bytes | memoryview], count: int, first_row: Callable[[int], bytes]) -> None:
        self.parts = parts
        self.count = count
        self._first_row = first_row

    def __getitem__(self, column: int) -> bytes:
        return self._first_row(column)


def statement(prepared: PreparedStatement, rows: EncodedRows) -> BatchStatement:
    """Return an unlogged, repeatable batch. Only sessions with `BulkProtocol` can send it."""
    bound = BoundStatement(prepared)
    bound.values = rows
    batch = BatchStatement(BatchType.UNLOGGED)
    batch.is_idempotent = True
    batch.add(bound)
    return batch


class BulkProtocol(ProtocolHandler):  # type: ignore[misc]  # the driver has no types
    """The driver's own protocol, and batches of encoded rows."""

    @classmethod
    def encode_message(cls, message: Any, *how: Any, **named: Any) -> bytes:  # noqa: ANN401 - the driver has no types
        if isinstance(message, BatchMessage) and message.queries:
            _, _, values = message.queries[0]
            if isinstance(values, EncodedRows):
                message = _BulkMessage(message, values)
        encoded: bytes = super().encode_message(message, *how, **named)
        return encoded


class _BulkMessage(BatchMessage):  # type: ignore[misc]  # the driver has no types
    def __init__(self, batch: BatchMessage, rows: EncodedRows) -> None:
        self.__dict__ |= batch.__dict__
        self.queries = ()
        self._rows = rows

    def send_body(self, file: io.BytesIO, protocol_version: int) -> None:
        """Let the driver write the batch without rows, and insert the rows behind the batch's head."""
        empty = io.BytesIO()
        super().send_body(empty, protocol_version)
        head, tail = empty.getvalue()[: _HEAD.size], empty.getvalue()[_HEAD.size :]
        kind, _ = _HEAD.unpack(head)
        file.write(_HEAD.pack(kind, self._rows.count))
        file.writelines(self._rows.parts)
        file.write(tail)
