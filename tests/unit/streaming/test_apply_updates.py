"""The values that the applying process reads from a message, before and after it decodes the record."""

import io
import re
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import contracts
from common.avro import wire
from common.errors import BadInput, SchemaIncompatible, SchemaNotFound
from common.settings import Settings
from streaming.apply.records import Records
from streaming.apply.target import Target
from streaming.apply.updates import Update, read_update
from streaming.jobs import find

CONTRACT = contracts.latest("ad_metrics.updates")
SCHEMA: Any = fastavro.parse_schema(CONTRACT.schema)
PLACE = ("ad_metrics.updates", 1, 17)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "version": 1_795_000_000_000_016,
    "newest_event": NOON,
    "kind": "window",
    "ad_id": "ad-ü",
    "window_start": NOON,
    "window_end": NOON,
    "total_clicks": 3,
    "total_views": 0,
    "total_cost": Decimal("-12.000001"),
    "avg_cost_per_view": None,
}
MONEY = st.integers(-(10**25) + 1, 10**25 - 1).map(lambda unscaled: Decimal(unscaled).scaleb(-6))
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=time.microsecond // 1_000 * 1_000)
)
LONGS = st.integers(-(2**63), 2**63 - 1)
ROWS = st.fixed_dictionaries(
    {
        "version": LONGS,
        "newest_event": TIMES,
        "kind": st.sampled_from(["window", "total"]),
        "ad_id": st.text(),
        "window_start": st.none() | TIMES,
        "window_end": st.none() | TIMES,
        "total_clicks": LONGS,
        "total_views": LONGS,
        "total_cost": MONEY,
        "avg_cost_per_view": st.none() | MONEY,
    }
)


def encoded(row: dict[str, Any], schema_id: int = 7) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, SCHEMA, row)
    return wire.frame(schema_id, buffer.getvalue())


@given(ROWS)
def test_the_version_is_read_without_the_record(row: dict[str, Any]) -> None:
    assert read_update(b"k", encoded(row), PLACE).version == row["version"]


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_records_become_columns_with_the_same_values(rows: list[dict[str, Any]]) -> None:
    updates = [Update(b"k", row["version"], encoded(row), PLACE) for row in rows]
    assert Records(7, CONTRACT.text).decode(updates).to_pylist() == rows


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, encoded(ROW)),
        (b"", encoded(ROW)),
        (b"k", None),
        (b"k", b""),
        (b"k", wire.header(7)),
        (b"k", b"\x01" + encoded(ROW)[1:]),
        (b"k", wire.frame(7, b"\xff" * 12)),
        (b"k", wire.frame(7, b"\xff")),
    ],
    ids=["no key", "empty key", "tombstone", "empty", "header only", "other framing", "endless number", "cut number"],
)
def test_what_is_no_row_is_named_with_its_place(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(BadInput, match=r"^ad_metrics\.updates/1/17 is no row: .*--skip ad_metrics\.updates/1/17$"):
        read_update(key, value, PLACE)


@pytest.mark.parametrize("value", [encoded(ROW) + b"\x00", encoded(ROW)[:-4], encoded(ROW)[:14]])
def test_a_record_that_its_schema_does_not_fit_is_named_with_its_place(value: bytes) -> None:
    with pytest.raises(BadInput, match=r"^ad_metrics\.updates/1/17 is no row: "):
        Records(7, CONTRACT.text).decode([Update(b"k", 1, value, PLACE)])


def schema_with(*more: str) -> str:
    """Return the schema of rows, with these fields after version and newest_event."""
    newest = '{"name": "newest_event", "type": {"type": "long", "logicalType": "timestamp-millis"}}'
    fields = ['{"name": "version", "type": "long"}', newest, *more]
    return f'{{"type": "record", "name": "R", "fields": [{", ".join(fields)}]}}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('"string"', "first fields"),
        ('{"type": "record", "name": "R", "fields": [{"name": "version", "type": "long"}]}', "first fields"),
        (schema_with('{"name": "tags", "type": {"type": "array", "items": "string"}}'), "no .* takes its field tags"),
        (schema_with('{"name": "one", "type": ["string", "long"]}'), "no column of a table takes its field one"),
    ],
)
def test_a_schema_that_is_not_that_of_rows_is_refused(text: str, why: str) -> None:
    with pytest.raises(SchemaIncompatible, match=f"schema id 9 is not that of a job's rows: .*{why}"):
        Records(9, text)


@pytest.mark.parametrize(
    "answer",
    [SchemaNotFound("schema id 9 is not registered", "register it"), '{"type": "record", "name": "R", "fields": []}'],
    ids=["unknown", "of other messages"],
)
def test_a_message_of_a_strange_schema_is_named_with_its_place(answer: SchemaNotFound | str) -> None:
    class Registry:
        def by_id(self, _schema_id: int) -> str:
            if isinstance(answer, SchemaNotFound):
                raise answer
            return answer

    target: Any = Target(Settings(), find("ad-metrics"))
    target._registry = Registry()
    with pytest.raises(SchemaNotFound if isinstance(answer, SchemaNotFound) else SchemaIncompatible) as told:
        target._add(None, wire.header(9), [Update(b"k", 1, encoded(ROW, 9), PLACE)])
    assert told.value.problem.startswith("ad_metrics.updates/1/17: schema id 9 is not ")
    assert told.value.remedy.endswith("if it is no row of the job, leave it out with --skip ad_metrics.updates/1/17")


def test_every_type_of_a_row_has_a_column() -> None:
    text = schema_with(
        '{"name": "i", "type": ["int", "null"]}',
        '{"name": "d", "type": "double"}',
        '{"name": "b", "type": "boolean"}',
        '{"name": "t", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}',
        '{"name": "y", "type": {"type": "int", "logicalType": "date"}}',
        '{"name": "f", "type": "float"}',
    )
    payload = bytes([2, 4, 0, 10]) + struct.pack("<d", 0.1) + bytes([1, 2, 6, 8]) + struct.pack("<f", 0.5)
    batch = Records(9, text).decode([Update(b"k", 1, wire.frame(9, payload), PLACE)])
    assert [batch.column(name)[0].as_py() for name in "idbf"] == [5, 0.1, True, 0.5]
    assert batch.column("t").cast("int64").to_pylist() == [3]
    assert batch.column("y")[0].as_py().isoformat() == "1970-01-05"


@given(st.lists(ROWS, min_size=1, max_size=4), st.data())
def test_damaged_records_are_refused_or_are_other_values_and_never_an_accident(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """A damaged record is read as fastavro reads it. If fastavro refuses one, the error names the first such record."""
    values = [encoded(row) for row in rows]
    damaged = data.draw(st.integers(0, len(rows) - 1))
    value = bytearray(values[damaged])
    place = data.draw(st.integers(wire.HEADER_BYTES, len(value) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "longer"])):
        case "flip":
            value[place] ^= data.draw(st.integers(1, 255))
        case "cut":
            del value[place:]
        case _:
            value += data.draw(st.binary(min_size=1, max_size=20))
    values[damaged] = bytes(value)
    updates = [Update(b"k", 1, each, ("t", 0, number)) for number, each in enumerate(values)]
    refusal = ""
    try:
        found = Records(7, CONTRACT.text).decode(updates)
    except BadInput as refused:
        refusal = str(refused)
    if refusal:
        assert re.match(r"t/0/\d+ is no row: ", refusal)
        return
    raw: Any = fastavro.parse_schema(without_meaning(CONTRACT.schema))
    for number, each in enumerate(values):
        stream = io.BytesIO(each)
        stream.seek(wire.HEADER_BYTES)
        told: Any = fastavro.schemaless_reader(stream, raw, None)
        assert stream.tell() == len(each)
        for name in ("version", "kind", "ad_id", "total_clicks", "total_views"):
            assert found.column(name)[number].as_py() == told[name]
        for name in ("newest_event", "window_start", "window_end"):
            assert found.column(name).cast("int64")[number].as_py() == told[name]
        unscaled = int.from_bytes(told["total_cost"], "big", signed=True)
        assert found.column("total_cost").cast(pa.decimal128(38, 6))[number].as_py() == Decimal(unscaled).scaleb(-6)


def without_meaning(schema: Any) -> Any:
    """Return the schema without logical types, so that fastavro returns values in their stored form."""
    if isinstance(schema, list):
        return [without_meaning(each) for each in schema]
    if isinstance(schema, dict):
        return {name: without_meaning(value) for name, value in schema.items() if name != "logicalType"}
    return schema
