"""Messages with other people's schemas: each schema costs its own messages at most."""

import io
import json
from typing import Any, NamedTuple

import fastavro
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from common.avro import wire
from common.avro.values import MOST_TEXTS
from common.contracts import Contract
from streaming.events.decode import decode, sorted_out
from tests.unit.streaming.wire_messages import ID_V2, NOW, V2, encoded, kafka_rows

Schema = Any
MILLIS = int(NOW.timestamp() * 1_000)
EVENT = {"ad_id": "ad_1", "timestamp": MILLIS, "clicks": 1, "views": 4, "cost": 0.5, "event_id": "e"}
READ = ("ad_1", MILLIS, 1, 4, 0.5, "e")
FOREIGN = 77


class Case(NamedTuple):
    """A writer's schema, an event for it, and the values that the job reads, or the reason of the dead letter."""

    schema: Schema
    event: Any
    read: tuple[Any, ...] | str = READ


def v2(changes: dict[str, Any] | None = None, *, more: tuple[dict[str, Any], ...] = (), **top: Any) -> Schema:
    """Return v2 with changed types of fields (None drops a field), and with more fields."""
    changed = changes or {}
    fields = [{**each, "type": changed.get(each["name"], each["type"])} for each in V2.schema["fields"]]
    kept = [
        {key: part for key, part in each.items() if key != "default" or each["name"] not in changed}
        for each in fields
        if each["type"] is not None
    ]
    return {**V2.schema, "fields": [*kept, *more], **top}


def field(name: str, kind: Any, **default: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **default}


def nullable(schema: Schema) -> Schema:
    fields = [
        {**each, "type": each["type"] if isinstance(each["type"], list) else ["null", each["type"]], "default": None}
        for each in schema["fields"]
    ]
    return {**schema, "fields": fields}


def capitals(schema: Schema) -> Schema:
    return {**schema, "fields": [{**each, "name": each["name"].upper()} for each in schema["fields"]]}


TIME = {"type": "long", "logicalType": "timestamp-millis"}
STATUS = {"type": "enum", "name": "Status", "symbols": ["A", "B"]}
PLACE = {
    "type": "record",
    "name": "Place",
    "fields": [field("lat", "double"), field("names", {"type": "map", "values": "string"})],
}
OTHER = {"type": "record", "name": "Impression", "namespace": "other", "fields": [field("page", "string")]}
TWIN = {**v2(), "name": "AdDraft"}

CASES = {
    "capitals, as ksqlDB writes": Case(
        capitals(nullable(v2())), {each.upper(): value for each, value in EVENT.items()}, "incompatible_schema"
    ),
    "all fields nullable": Case(nullable(v2()), EVENT),
    "a null time": Case(nullable(v2()), {**EVENT, "timestamp": None}, "undecodable"),
    "a null cost": Case(v2({"cost": ["null", "double"]}), {**EVENT, "cost": None}, "undecodable"),
    "a nullable cost": Case(v2({"cost": ["double", "null"]}), EVENT),
    "cost as long": Case(v2({"cost": "long"}), {**EVENT, "cost": 3}, ("ad_1", MILLIS, 1, 4, 3.0, "e")),
    "cost as int": Case(v2({"cost": "int"}), {**EVENT, "cost": 3}, ("ad_1", MILLIS, 1, 4, 3.0, "e")),
    "cost as float": Case(v2({"cost": "float"}), EVENT),
    "cost as decimal": Case(
        v2({"cost": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}}),
        {**EVENT, "cost": b"\x01"},
        "incompatible_schema",
    ),
    "cost as text": Case(v2({"cost": "string"}), {**EVENT, "cost": "0.5"}, "incompatible_schema"),
    "clicks as double": Case(v2({"clicks": "double"}), {**EVENT, "clicks": 2.0}, "incompatible_schema"),
    "clicks as long": Case(v2({"clicks": "long"}), EVENT, "incompatible_schema"),
    "clicks with a property": Case(v2({"clicks": {"type": "int", "connect.type": "int16"}}), EVENT),
    "ad_id as bytes": Case(v2({"ad_id": "bytes"}), {**EVENT, "ad_id": b"ad_1"}),
    "ad_id as enum": Case(
        v2({"ad_id": {"type": "enum", "name": "Ads", "symbols": ["ad_1"]}}), EVENT, "incompatible_schema"
    ),
    "time without its annotation": Case(v2({"timestamp": "long"}), EVENT),
    "time in microseconds": Case(
        v2({"timestamp": {"type": "long", "logicalType": "timestamp-micros"}}),
        {**EVENT, "timestamp": MILLIS * 1_000 + 999},
    ),
    "nullable time in microseconds": Case(
        v2({"timestamp": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}),
        {**EVENT, "timestamp": MILLIS * 1_000},
    ),
    "a nanosecond before 1970": Case(
        v2({"timestamp": {"type": "long", "logicalType": "timestamp-nanos"}}),
        {**EVENT, "timestamp": -1},
        ("ad_1", -1, 1, 4, 0.5, "e"),
    ),
    "time in nanoseconds": Case(
        v2({"timestamp": {"type": "long", "logicalType": "timestamp-nanos"}}),
        {**EVENT, "timestamp": MILLIS * 1_000_000 + 999_999},
    ),
    "local time": Case(
        v2({"timestamp": {"type": "long", "logicalType": "local-timestamp-millis"}}), EVENT, "incompatible_schema"
    ),
    "a date": Case(
        v2({"timestamp": {"type": "int", "logicalType": "date"}}), {**EVENT, "timestamp": 20_000}, "incompatible_schema"
    ),
    "time as text": Case(
        v2({"timestamp": "string"}), {**EVENT, "timestamp": "2026-03-01T12:00:00Z"}, "incompatible_schema"
    ),
    "an event_id that is a UUID": Case(
        v2({"event_id": ["null", {"type": "string", "logicalType": "uuid"}]}),
        {**EVENT, "event_id": "order-17"},
        ("ad_1", MILLIS, 1, 4, 0.5, "order-17"),
    ),
    "no event_id": Case(v2({"event_id": None}), EVENT, ("ad_1", MILLIS, 1, 4, 0.5, None)),
    "an enum besides": Case(v2(more=(field("status", STATUS, default="A"),)), {**EVENT, "status": "B"}),
    "an array besides": Case(
        v2(more=(field("tags", {"type": "array", "items": "string"}, default=[]),)), {**EVENT, "tags": ["a", "b"]}
    ),
    "a map besides": Case(
        v2(more=(field("labels", {"type": "map", "values": "int"}, default={}),)), {**EVENT, "labels": {"a": 1}}
    ),
    "a record besides": Case(
        v2(more=(field("place", ["null", PLACE], default=None),)),
        {**EVENT, "place": {"lat": 1.0, "names": {"de": "x"}}},
    ),
    "a fixed besides": Case(
        v2(more=(field("digest", {"type": "fixed", "name": "Digest", "size": 4}),)), {**EVENT, "digest": b"1234"}
    ),
    "a decimal besides": Case(
        v2(more=(field("tax", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),)),
        {**EVENT, "tax": b"\x01\x02"},
    ),
    "a union besides": Case(
        v2(more=(field("extra", ["null", "int", "string", {"type": "array", "items": "long"}]),)),
        {**EVENT, "extra": [1, 2]},
    ),
    "names that differ in case alone": Case(
        v2(more=(field("AD_ID", "string", default=""), field("Cost", "long", default=0))),
        {**EVENT, "AD_ID": "x", "Cost": 9},
    ),
    "another order": Case({**v2(), "fields": v2()["fields"][::-1]}, EVENT),
    "another namespace": Case(v2(namespace="org.example"), EVENT),
    "a union with another record": Case([v2(), OTHER], EVENT),
    "the other record of a union": Case([v2(), OTHER], {"page": "p"}, "undecodable"),
    "another record of a union with the same fields": Case(
        [TWIN, v2()], (f"{V2.schema.get('namespace', '')}.AdDraft".strip("."), EVENT), "undecodable"
    ),
    "a record of another kind": Case(OTHER, {"page": "p"}, "incompatible_schema"),
    "no record": Case("string", "ad_1", "incompatible_schema"),
    "records within themselves": Case(
        v2(
            more=(
                field(
                    "node", ["null", {"type": "record", "name": "Node", "fields": [field("next", ["null", "Node"])]}]
                ),
            )
        ),
        {**EVENT, "node": None},
        "recursive_schema",
    ),
}


def plain(schema: Schema) -> Schema:
    """Return the schema without annotations, so that a value is written as it is."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def message(schema: Schema, event: Any, schema_id: int = FOREIGN) -> bytes:
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(plain(schema)), event)
    return wire.frame(schema_id, payload.getvalue())


def contract(schema: Schema) -> Contract:
    return Contract(V2.subject, 3, json.dumps(schema))


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> dict[str, Row]:
    """Every case in one plan, together with the contract's own second version."""
    ids = {name: 1_000 + place for place, name in enumerate(CASES)}
    writers = {ids[name]: contract(case.schema) for name, case in CASES.items()}
    values = [message(case.schema, case.event, ids[name]) for name, case in CASES.items()]
    own = [encoded(V2, event_id="own"), encoded(V2, event_id="own")[:-1]]
    found = decode(kafka_rows(spark, [*values, *own]), {ID_V2: V2, **writers}, V2)
    read = found.withColumn("millis", F.unix_millis("event.timestamp")).orderBy("offset").collect()
    return dict(zip([*CASES, "own", "own, cut"], read, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_each_is_read_or_has_its_reason(name: str, rows: dict[str, Row]) -> None:
    row, wanted = rows[name], CASES[name].read
    if isinstance(wanted, str):
        assert row["problem"] == wanted
        return
    event = row["event"]
    found = (event["ad_id"], row["millis"], event["clicks"], event["views"], event["cost"], event["event_id"])
    assert (row["problem"], found) == (None, wanted)


def test_no_foreign_schema_touches_the_contracts_own_events(rows: dict[str, Row]) -> None:
    assert rows["own"]["problem"] is None
    assert rows["own"]["event"]["event_id"] == "own"
    assert rows["own, cut"]["problem"] == "undecodable"
    assert rows["own"]["event"].__fields__ == [each["name"] for each in V2.schema["fields"]]


def test_arrays_in_blocks_with_a_negated_count_end_where_they_end(spark: SparkSession) -> None:
    tags = contract(v2(more=(field("tags", ["null", {"type": "array", "items": "string"}], default=None),)))
    # Two items in a block of four bytes: the negated count, then the block's size.
    blocks = b"\x02" + b"\x03\x08" + b"\x02a\x02b" + b"\x00"
    start = encoded(V2, event_id="e")[5:]
    values = [wire.frame(FOREIGN, start + rest) for rest in (blocks, blocks + b"\x00", blocks[:-1])]
    found = decode(kafka_rows(spark, values), {FOREIGN: tags}, V2).orderBy("offset").collect()
    assert [row["problem"] for row in found] == [None, "trailing_bytes", "undecodable"]


def test_an_int_that_is_promoted_is_not_cut_to_32_bits(spark: SparkSession) -> None:
    value = message(v2({"cost": "long"}), {**EVENT, "cost": 2**40})
    row = decode(kafka_rows(spark, [value]), {FOREIGN: contract(v2({"cost": "int"}))}, V2).collect()[0]
    assert (row["problem"], row["event"]["cost"]) == (None, float(2**40))


def test_a_schema_that_java_does_not_take_costs_its_own_messages(spark: SparkSession) -> None:
    unknown = contract(v2(more=(field("owner", "other.Owner"),)))
    # PySpark turns Java's error about this size into one of its own.
    huge = contract(v2(more=(field("huge", {"type": "fixed", "name": "Huge", "size": 2**31 - 1}),)))
    writers = {FOREIGN: unknown, ID_V2: V2, 5: contract("nothing"), 6: Contract("s", 1, "{"), 7: huge}
    _, refused = sorted_out(spark, writers, V2)
    assert set(refused) == {FOREIGN, 5, 6, 7}
    found = decode(kafka_rows(spark, [encoded(V2), message(v2(), EVENT)]), {ID_V2: V2, FOREIGN: unknown}, V2).collect()
    assert [row["problem"] for row in found] == [None, "incompatible_schema"]


def test_a_very_wide_version_among_many_costs_its_own_messages_at_most(spark: SparkSession) -> None:
    """The size of the plan depends on the number of versions, not on the widest."""
    wide = v2(more=tuple(field(f"text_{place}", ["null", "string"], default=None) for place in range(400)))
    others = {1_000 + place: v2(more=(field(f"own_{place}", "string", default=""),)) for place in range(60)}
    writers = {each: contract(schema) for each, schema in {FOREIGN: wide, **others}.items()}
    values = [
        message(wide, EVENT),
        *(message(schema, {**EVENT, f"own_{each - 1_000}": "x"}, each) for each, schema in others.items()),
    ]
    decoded = decode(kafka_rows(spark, values), writers, V2)
    assert {row["problem"] for row in decoded.select("problem").collect()} == {None}
    plan = decoded._jdf.queryExecution().optimizedPlan().toString()
    assert plan.count("_text_") <= (len(writers) + 1) * MOST_TEXTS * 3
