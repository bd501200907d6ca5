"""Records of an updates topic -> Arrow columns, by the schema that wrote them.

Values stay as Avro stores them, and become times and decimals a column at a time. A Decimal or a datetime for each
value would cost more than all else that a row needs here.
"""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import pyarrow as pa

from adstream import wire
from adstream.errors import SchemaIncompatible
from streaming.apply.updates import NEWEST_EVENT, VERSION, Update, unreadable

_DECIMAL_BYTES = 16
_MOST_DIGITS = 38
_PLAIN = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
}
_ANNOTATED = {
    "timestamp-millis": pa.timestamp("ms", tz="UTC"),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}
Column = Callable[[list[Any]], pa.Array]


class Records:
    """Decodes records of one schema. `names` are the columns, with version and newest_event first.

    Raises SchemaIncompatible for a schema that is not that of rows.
    """

    def __init__(self, schema_id: int, text: str) -> None:
        schema = json.loads(text)
        fields = schema.get("fields", []) if isinstance(schema, dict) else []
        self.names = [field["name"] for field in fields]
        if self.names[:2] != [VERSION, NEWEST_EVENT]:
            raise _not_rows(schema_id, f"its first fields are not {VERSION} and {NEWEST_EVENT}")
        self._columns = [_column(schema_id, field["name"], field["type"]) for field in fields]
        self._schema: Any = fastavro.parse_schema(_without_meaning(schema))

    def decode(self, updates: Sequence[Update]) -> pa.RecordBatch:
        """The rows in this order. Raises BadInput for a record that its schema does not fit."""
        records = [self._record(update) for update in updates]
        columns = [
            column([record[name] for record in records]) for name, column in zip(self.names, self._columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, names=self.names)

    def _record(self, update: Update) -> dict[str, Any]:
        stream = io.BytesIO(update.value)
        stream.seek(wire.HEADER_BYTES)
        try:
            record: Any = fastavro.schemaless_reader(stream, self._schema, None)
        except Exception as error:
            raise unreadable(update.place, f"its schema does not fit ({type(error).__name__})") from error
        if stream.tell() != len(update.value):
            raise unreadable(update.place, "bytes follow the record")
        return record  # type: ignore[no-any-return]


def _column(schema_id: int, name: str, kind: Any) -> Column:  # noqa: ANN401 - Avro schemas are JSON
    """The function that makes an array of a field's values."""
    if isinstance(kind, list):
        [kind] = [each for each in kind if each != "null"] if len(kind) == 2 and "null" in kind else [None]
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    stored = kind.get("type") if isinstance(kind, dict) else kind
    if logical == "decimal" and stored == "bytes" and kind["precision"] <= _MOST_DIGITS:
        decimal = pa.decimal128(kind["precision"], kind.get("scale", 0))
        return lambda values: _decimals(values, decimal)
    arrow = _ANNOTATED.get(logical) if logical else _PLAIN.get(stored) if isinstance(stored, str) else None
    if arrow is None:
        raise _not_rows(schema_id, f"no column of a table takes its field {name}")
    return lambda values: pa.array(values, arrow)


def _decimals(values: list[bytes | None], kind: pa.DataType) -> pa.Array:
    """Avro has an unscaled number's bytes with the highest first, Arrow sixteen with the lowest first."""
    numbers = b"".join(
        (0 if value is None else int.from_bytes(value, "big", signed=True)).to_bytes(
            _DECIMAL_BYTES, "little", signed=True
        )
        for value in values
    )
    missing = values.count(None)
    valid = pa.array([value is not None for value in values]).buffers()[1] if missing else None
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)], missing)


def _without_meaning(schema: Any) -> Any:  # noqa: ANN401 - Avro schemas are JSON
    """The schema without logical types: values as they are stored."""
    if isinstance(schema, list):
        return [_without_meaning(each) for each in schema]
    if isinstance(schema, dict):
        return {name: _without_meaning(value) for name, value in schema.items() if name != "logicalType"}
    return schema


def _not_rows(schema_id: int, why: str) -> SchemaIncompatible:
    return SchemaIncompatible(f"schema id {schema_id} is not that of a job's rows: {why}", "look at who writes there")
