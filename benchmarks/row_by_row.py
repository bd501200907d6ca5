"""An earlier sink, which encodes each value and each row by itself, in the driver's batches.

`benchmarks.sink` compares the present sink with it.
"""

from collections import deque

from cassandra.cluster import ResponseFuture, Session
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, BoundStatement, PreparedStatement

from common.cassandra.session import PROTOCOL_VERSION
from streaming.sinks.cql_values import encoder

IN_FLIGHT = 32
Row = tuple[object, ...]


def write(session: Session, prepared: PreparedStatement, rows: list[Row], batch_rows: int) -> None:
    """Upsert the rows of one replica set, and wait for every write."""
    encoders = [encoder(column.type, PROTOCOL_VERSION) for column in prepared.column_metadata]
    prepared.is_idempotent = True
    flying: deque[ResponseFuture] = deque()
    batch = BatchStatement(BatchType.UNLOGGED)
    for number, row in enumerate(rows, 1):
        bound = BoundStatement(prepared)
        bound.values = [
            UNSET_VALUE if value is None else encode(value) for encode, value in zip(encoders, row, strict=True)
        ]
        batch.add(bound)
        if number % batch_rows and number < len(rows):
            continue
        while len(flying) >= IN_FLIGHT:
            flying.popleft().result()
        flying.append(session.execute_async(batch))
        batch = BatchStatement(BatchType.UNLOGGED)
    while flying:
        flying.popleft().result()
