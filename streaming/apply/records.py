"""Turn records of an updates topic into Arrow columns, by the schema that wrote them."""

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from common.avro import wire
from common.errors import SchemaIncompatible
from streaming.apply import columns
from streaming.apply.columns import Cursors, Malformed, Read
from streaming.apply.updates import Update, unreadable
from streaming.patterns.versions import NEWEST, VERSION

_MOST_DIGITS = 38
_PLAIN: dict[str, Read] = {
    "string": columns.texts(pa.string()),
    "bytes": columns.texts(pa.binary()),
    "int": columns.numbers(pa.int32(), 32),
    "long": columns.numbers(pa.int64()),
    "float": columns.plain(pa.float32(), "<f4"),
    "double": columns.plain(pa.float64(), "<f8"),
    "boolean": columns.booleans,
}
_ANNOTATED: dict[str, Read] = {
    "timestamp-millis": columns.numbers(pa.timestamp("ms", tz="UTC")),
    "timestamp-micros": columns.numbers(pa.timestamp("us", tz="UTC")),
    "date": columns.numbers(pa.date32(), 32),
}


class Records:
    """Decodes records of one schema. `names` are the columns, with version and newest_event first.

    Raises SchemaIncompatible if the schema does not describe rows.
    """

    def __init__(self, schema_id: int, text: str) -> None:
        schema = json.loads(text)
        fields = schema.get("fields", []) if isinstance(schema, dict) else []
        self.names = [field["name"] for field in fields]
        if self.names[:2] != [VERSION, NEWEST]:
            raise _not_rows(schema_id, f"its first fields are not {VERSION} and {NEWEST}")
        self._columns = [_column(schema_id, field["name"], field["type"]) for field in fields]
        self._schema: Any = fastavro.parse_schema(schema)

    def decode(self, updates: Sequence[Update]) -> pa.RecordBatch:
        """Return the rows in this order. Raises BadInput for a record that its schema does not fit."""
        cursors = Cursors([update.value for update in updates], wire.HEADER_BYTES)
        rows = np.arange(cursors.count)
        try:
            found = [read(cursors, rows) for read in self._columns]
            cursors.end()
        except Malformed:
            raise self._broken(updates) from None
        return pa.RecordBatch.from_arrays(found, names=self.names)

    def _broken(self, updates: Sequence[Update]) -> Exception:
        """Return the error that names the first unreadable record."""
        for update in updates:
            stream = io.BytesIO(update.value)
            stream.seek(wire.HEADER_BYTES)
            try:
                fastavro.schemaless_reader(stream, self._schema, None)
            except Exception as error:  # noqa: BLE001 - whatever it raises on such bytes
                return unreadable(update.place, f"its schema does not fit ({type(error).__name__})")
            if stream.tell() != len(update.value):
                return unreadable(update.place, "bytes follow the record")
        return unreadable(updates[0].place, "it, or one of those read with it, is outside of what its schema says")


def _column(schema_id: int, name: str, kind: Any) -> Read:  # noqa: ANN401 - Avro schemas are JSON
    """Return the function that reads a field."""
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
        null = kind.index("null")
        return columns.nullable(_column(schema_id, name, kind[1 - null]), null)
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    stored = kind.get("type") if isinstance(kind, dict) else kind
    if logical == "decimal" and stored == "bytes" and kind["precision"] <= _MOST_DIGITS:
        return columns.decimals(pa.decimal128(kind["precision"], kind.get("scale", 0)))
    found = _ANNOTATED.get(logical) if logical else _PLAIN.get(stored) if isinstance(stored, str) else None
    if found is None:
        raise _not_rows(schema_id, f"no column of a table takes its field {name}")
    return found


def _not_rows(schema_id: int, why: str) -> SchemaIncompatible:
    return SchemaIncompatible(f"schema id {schema_id} is not that of a job's rows: {why}", "look at who writes there")
