"""Messages of other people's schemas: each gives an event of the contract, or the reason why it cannot."""

import io
import json
from typing import Any

import fastavro
import pytest

from common import contracts, reasons
from common.avro.binary import LONGEST
from common.avro.resolution import Reading, Unreadable, Unresolvable, resolve
from common.avro.schema_types import MOST_LEVELS, MOST_TYPES, without_annotations
from common.avro.values import MOST_TEXTS

V2 = contracts.latest("ads_data").schema
EVENT = {"ad_id": "ad-1", "timestamp": 1_772_366_400_123, "clicks": 3, "views": 70, "cost": 0.25, "event_id": "e-1"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
NANOS = {"type": "long", "logicalType": "timestamp-nanos"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}
UUID = {"type": "string", "logicalType": "uuid"}
TAGS = {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None}


def changed(*, more: list[dict[str, Any]] | None = None, **kinds: Any) -> dict[str, Any]:
    """Return v2 with these types for the named fields (`None` drops a field), and with `more` fields at the end."""
    fields = [
        {"name": field["name"], "type": kinds[field["name"]]} if field["name"] in kinds else field
        for field in V2["fields"]
        if kinds.get(field["name"], "") is not None
    ]
    return {**V2, "fields": [*fields, *(more or [])]}


def written(schema: Any, event: Any) -> bytes:
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(without_annotations(schema)), event)
    return payload.getvalue()


def read(schema: Any, value: bytes, reader: Any = V2) -> dict[str, Any]:
    return resolve(schema, reader).read(value).event


def refused(schema: Any, value: bytes, reader: Any = V2) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        resolve(schema, reader).read(value)
    return caught.value


V1 = contracts.history("ads_data")[0].schema
AS_IT_IS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "the contract itself": (V2, {}, {}),
    "v1, which has no event_id": (V1, {}, {"event_id": None}),
    "cost as long": (changed(cost="long"), {"cost": 7}, {"cost": 7.0}),
    "cost as float": (changed(cost="float"), {"cost": 0.5}, {}),
    "cost that may be null": (changed(cost=["null", "double"]), {}, {}),
    "cost of several kinds": (changed(cost=["null", "int", DECIMAL, "double"]), {"cost": 2}, {"cost": 2.0}),
    "ad_id as bytes": (changed(ad_id="bytes"), {"ad_id": b"ad-1"}, {"ad_id": "ad-1"}),
    "event_id as a string": (changed(event_id="string"), {}, {}),
    "event_id as a uuid, and none": (changed(event_id=["null", UUID]), {"event_id": "order-17"}, {}),
    "event_id the other way round": (changed(event_id=["string", "null"]), {}, {}),
    "a plain long for the time": (changed(timestamp="long"), {}, {}),
    "an int for the time": (changed(timestamp="int"), {"timestamp": -5}, {}),
    "microseconds": (changed(timestamp=MICROS), {"timestamp": 1_772_366_400_123_999}, {"timestamp": 1_772_366_400_123}),
    "nanoseconds": (changed(timestamp=NANOS), {"timestamp": -1}, {"timestamp": -1}),
    "nanoseconds, perhaps null": (changed(timestamp=["null", NANOS]), {"timestamp": 1_999_999}, {"timestamp": 1}),
    "an annotation that nobody knows": (changed(clicks={"type": "int", "logicalType": "clicks"}), {}, {}),
    "an annotation on a wrong type": (changed(ad_id={"type": "string", "logicalType": "date"}), {}, {}),
    "a decimal without a precision": (
        changed(ad_id={"type": "bytes", "logicalType": "decimal"}), {"ad_id": b"ad-1"}, {"ad_id": "ad-1"},
    ),
    "an object around a type": (changed(clicks={"type": "int", "doc": "all of them"}), {}, {}),
    "another name and namespace": ({**V2, "name": "Other", "namespace": "com.example"}, {}, {}),
    "fields in another order": ({**V2, "fields": V2["fields"][::-1]}, {}, {}),
    "an array": (changed(more=[TAGS]), {"tags": ["a", "b"]}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_IT_IS)
def test_a_message_is_read_by_the_writers_schema_into_the_contracts_fields(name: str) -> None:
    schema, written_as, read_as = AS_IT_IS[name]
    event = {**EVENT, **written_as}
    expected = {key: {**event, **read_as}[key] for key in EVENT}
    assert read(schema, written(schema, event)) == expected


ADDED: dict[str, tuple[Any, Any]] = {
    "an enum": ({"type": "enum", "name": "Kind", "symbols": ["A", "B"], "default": "A"}, "B"),
    "a map": ({"type": "map", "values": ["null", "long"]}, {"x": 1, "y": None}),
    "a record": (
        {"type": "record", "name": "Site", "fields": [{"name": "host", "type": UUID}, {"name": "at", "type": MICROS}]},
        {"host": "h", "at": 1},
    ),
    "a fixed": ({"type": "fixed", "name": "Hash", "size": 3}, b"abc"),
    "a decimal": (DECIMAL, b"\x01\x00"),
    "a duration": ({"type": "fixed", "name": "Span", "size": 12, "logicalType": "duration"}, b"0123456789ab"),
    "records in arrays in maps": (
        {"type": "map", "values": {"type": "array", "items": {"type": "record", "name": "R", "fields": [TAGS]}}},
        {"k": [{"tags": ["z"]}, {"tags": None}]},
    ),
    "a boolean": ("boolean", True),
    "a union of all": (["null", "int", "string", {"type": "array", "items": "int"}], [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDED)
def test_a_field_that_only_the_writer_has_is_passed_over(name: str) -> None:
    kind, value = ADDED[name]
    schema = changed(more=[{"name": "added", "type": kind}, {"name": "last", "type": "int"}])
    message = written(schema, {**EVENT, "added": value, "last": 5})
    assert read(schema, message) == EVENT
    # The added fields may also come before the contract's. A message that is cut within them is refused.
    first = {**schema, "fields": schema["fields"][::-1]}
    assert read(first, written(first, {**EVENT, "added": value, "last": 5})) == EVENT
    assert refused(schema, message[:-1]).reason == reasons.UNDECODABLE


def test_names_are_resolved_within_the_schema() -> None:
    kind, inner = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, {"name": "k", "type": "Kind"}
    schema = changed(
        more=[
            {"name": "first", "type": kind},
            {"name": "again", "type": "Kind"},
            {"name": "full", "type": ["null", "adstream.Kind"]},
            {"name": "other", "type": {"type": "fixed", "name": "Kind", "namespace": "elsewhere", "size": 2}},
            {"name": "there", "type": {"type": "record", "name": "elsewhere.R", "fields": [inner]}},
        ]
    )  # fmt: skip
    more = {"first": "A", "again": "B", "full": "B", "other": b"xy", "there": {"k": b"zz"}}
    assert read(schema, written(schema, {**EVENT, **more})) == EVENT


CANNOT: dict[str, tuple[Any, str]] = {
    "decimal": (changed(cost=DECIMAL), "the writer's cost is bytes (decimal), the contract's a double"),
    "perhaps a decimal": (
        changed(cost=["null", DECIMAL]), "the writer's cost is null or bytes (decimal), the contract's a double",
    ),
    "text": (
        changed(timestamp="string"), "the writer's timestamp is a string, the contract's a long (timestamp-millis)",
    ),
    "local time": (
        changed(timestamp={"type": "long", "logicalType": "local-timestamp-millis"}),
        "the writer's timestamp is a long (local-timestamp-millis), the contract's a long (timestamp-millis)",
    ),
    "a time of day": (
        changed(cost={"type": "int", "logicalType": "time-millis"}),
        "the writer's cost is an int (time-millis), the contract's a double",
    ),
    "a date": (
        changed(timestamp={"type": "int", "logicalType": "date"}),
        "the writer's timestamp is an int (date), the contract's a long (timestamp-millis)",
    ),
    "clicks as double": (changed(clicks="double"), "the writer's clicks is a double, the contract's an int"),
    "clicks as long": (changed(clicks="long"), "the writer's clicks is a long, the contract's an int"),
    "only null": (changed(ad_id="null"), "the writer's ad_id is null, the contract's a string"),
    "a missing field": (changed(ad_id=None), "the writer has no ad_id, which the contract requires"),
    "capitals": (
        {**V2, "fields": [{**field, "name": field["name"].upper()} for field in V2["fields"]]},
        "the writer has no ad_id, which the contract requires (it has AD_ID: capitals count)",
    ),
    "no record": ("string", "the writer's schema is a string, the contract's a record adstream.AdEvent"),
    "a reference to another subject": (
        changed(more=[{"name": "campaign", "type": "adstream.Campaign"}]),
        "the writer's schema refers to adstream.Campaign, which it does not declare",
    ),
    "items of no bytes": (
        changed(more=[{"name": "nothing", "type": {"type": "array", "items": "null"}}]),
        "the writer has an array of items that take no bytes",
    ),
    "no schema": ({"kind": "record"}, "the writer's schema declares no type ({'kind': 'record'})"),
    "a number": (7, "the writer's schema declares no type (7)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CANNOT)
def test_a_schema_that_the_contract_cannot_read_is_told_in_half_a_sentence(name: str) -> None:
    schema, problem = CANNOT[name]
    with pytest.raises(Unresolvable) as caught:
        resolve(schema, V2)
    assert caught.value.problem == problem
    assert caught.value.reason == reasons.INCOMPATIBLE_SCHEMA


@pytest.mark.parametrize(
    "broken",
    [
        None, 1.5, [], {}, {"type": None}, {"type": {}}, {"type": "record"}, {"type": "record", "name": "R"},
        {"type": "record", "name": "R", "fields": [{}]}, {"type": "record", "name": 7, "fields": []},
        {"type": "record", "name": "R", "fields": [{"name": 7, "type": "int"}]}, {"type": "array"}, {"type": "fixed"},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2}, [[["x"]]], "", "record",
        {"type": "fixed", "name": "F", "size": -1}, {"type": "enum", "name": "E"}, {"type": "map", "values": 5},
    ],
)  # fmt: skip
def test_what_is_no_schema_is_unresolvable_and_nothing_worse(broken: Any) -> None:
    with pytest.raises(Unresolvable):
        resolve(broken, V2)


REFUSED_BY_JAVA: dict[str, tuple[Any, str]] = {
    "an object around an object": (changed(clicks={"type": {"type": "int"}}), "declares no type"),
    "a union in a union": (changed(clicks=["null", ["int"]]), "has a union in a union"),
    "a union of two ints": (changed(clicks=["int", "int"]), "has a union of two that are alike (int, int)"),
    "a hyphen": (changed(more=[{"name": "a-b", "type": "int"}]), "has the name 'a-b', which Avro does not allow"),
    "a digit first": ({**V2, "name": "1st"}, "has the name '1st', which Avro does not allow"),
    "a space for a namespace": ({**V2, "namespace": "a b"}, "has the name 'a b', which Avro does not allow"),
    "an alias": ({**V2, "aliases": ["x-y"]}, "has the name 'x-y', which Avro does not allow"),
    "a primitive's name": ({**V2, "name": "int", "namespace": ""}, "calls a type int"),
    "a symbol twice": (
        changed(more=[{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "A"]}}]),
        "gives adstream.E a symbol twice",
    ),
    "a default that is no symbol": (
        changed(more=[{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}}]),
        "gives adstream.E the default 'B', which is none of its symbols",
    ),
    "fields that are no list": ({**V2, "fields": {}}, "gives adstream.AdEvent no list of fields"),
    "an order": (changed(more=[{"name": "o", "type": "int", "order": "up"}]), "gives o the order 'up'"),
}


@pytest.mark.parametrize("name", REFUSED_BY_JAVA)
def test_what_javas_parser_refuses_is_refused(name: str) -> None:
    schema, problem = REFUSED_BY_JAVA[name]
    with pytest.raises(Unresolvable) as caught:
        resolve(schema, V2)
    assert caught.value.problem.startswith(f"the writer's schema {problem}")


def test_names_may_have_letters_of_any_script() -> None:
    schema = changed(more=[{"name": "größe_2", "type": "int"}])
    assert read(schema, written(V2, EVENT) + b"\x02") == EVENT


def test_schemas_of_too_many_levels_or_types_are_refused() -> None:
    def nested(levels: int) -> Any:
        kind: Any = "int"
        for _ in range(levels):
            kind = {"type": "array", "items": kind}
        return changed(more=[{"name": "deep", "type": kind}])

    event = {**EVENT, "deep": []}
    # The levels are the record, the arrays, and the int.
    assert read(nested(MOST_LEVELS - 2), written(nested(MOST_LEVELS - 2), event)) == EVENT
    with pytest.raises(Unresolvable, match=f"nested more than {MOST_LEVELS} levels"):
        resolve(nested(MOST_LEVELS - 1), V2)
    kind: Any = {"type": "record", "name": "R0", "fields": [{"name": "x", "type": "int"}]}
    for level in range(1, MOST_TYPES.bit_length()):
        fields = [{"name": "left", "type": kind}, {"name": "right", "type": f"R{level - 1}"}]
        kind = {"type": "record", "name": f"R{level}", "fields": fields}
    with pytest.raises(Unresolvable, match="more than 10,000 types"):
        resolve(changed(more=[{"name": "wide", "type": kind}]), V2)


@pytest.mark.parametrize("name", ["Node", "adstream.Node"])
def test_a_schema_within_itself_has_a_reason_of_its_own(name: str) -> None:
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", name]}]}
    with pytest.raises(Unresolvable, match=r"adstream\.Node can hold itself") as caught:
        resolve(changed(more=[{"name": "nodes", "type": {"type": "array", "items": node}}]), V2)
    assert caught.value.reason == reasons.RECURSIVE_SCHEMA


OTHER = {"type": "record", "name": "Other", "namespace": "adstream", "fields": [{"name": "x", "type": "int"}]}


def test_in_a_union_of_records_the_one_with_the_contracts_name_counts() -> None:
    union = [OTHER, V2]
    assert read(union, b"\x02" + written(V2, EVENT)) == EVENT
    other = refused(union, b"\x00\x02")
    assert other.problem == "the message is a record adstream.Other, and the contract a record adstream.AdEvent"
    assert refused(union, b"\x04").problem == "there is no branch 2 in its union of 2"
    # A record of another name counts if no branch has the name, as it does without a union.
    named = {**V2, "name": "Impression"}
    assert read([OTHER, named], b"\x02" + written(V2, EVENT)) == EVENT
    alike = {**V2, "name": "Copy"}
    assert refused([alike, V2], b"\x00" + written(V2, EVENT)).reason == reasons.UNDECODABLE
    with pytest.raises(Unresolvable, match=r"the writer's schema is a record adstream\.Other or null"):
        resolve([OTHER, "null"], V2)


def test_a_field_may_have_an_alias_in_the_contract() -> None:
    reader = {**V2, "fields": [{**field, "aliases": [f"old_{field['name']}"]} for field in V2["fields"]]}
    old = {**V2, "fields": [{**field, "name": f"old_{field['name']}"} for field in V2["fields"]]}
    message = written(old, {f"old_{name}": value for name, value in EVENT.items()})
    assert read(old, message, reader) == EVENT
    # Avro looks for aliases of fields only in records of the same name.
    with pytest.raises(Unresolvable, match="has no ad_id"):
        resolve({**old, "name": "Else"}, reader)
    assert read({**old, "name": "Else"}, message, {**reader, "aliases": ["Else"]}) == EVENT


def test_a_value_that_the_contract_does_not_take_is_a_fault_of_its_message() -> None:
    schema = changed(cost=["null", DECIMAL, "double"], timestamp=["null", MILLIS])
    null_cost = written(schema, {**EVENT, "cost": None})
    found = refused(schema, null_cost)
    assert (found.reason, found.field, found.whole) == (reasons.UNDECODABLE, "cost", True)
    assert found.problem == "it is null, and the contract wants a double"
    assert [span.name for span in found.spans] == list(EVENT)
    assert null_cost[found.at : found.at + 1] == b"\x00"
    both = refused(schema, written(schema, {**EVENT, "cost": b"\x01", "timestamp": None}))
    assert both.problem == "it is null, and the contract wants a long (timestamp-millis)"
    # Trailing bytes after such an event are no second fault. The event cannot be repaired any more.
    assert (refused(schema, null_cost + b"x").reason, refused(schema, null_cost + b"x").whole) == ("undecodable", False)
    assert refused(schema, null_cost[:-1]).problem == "it is null, and the contract wants a double"


def test_bytes_left_over_are_told_with_their_place() -> None:
    found = refused(V2, written(V2, EVENT) + b"ab")
    assert found.reason == reasons.TRAILING_BYTES
    assert found.problem == f"2 bytes follow the event, which ends at byte {len(written(V2, EVENT))}"


def test_the_contract_may_have_any_type() -> None:
    def record(**kinds: Any) -> dict[str, Any]:
        fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
        return {"type": "record", "name": "R", "fields": fields}

    kinds = {
        "enum": {"type": "enum", "name": "E", "symbols": ["A", "B"]},
        "fixed": {"type": "fixed", "name": "F", "size": 2},
        "list": {"type": "array", "items": "int"},
        "map": {"type": "map", "values": ["null", "float"]},
        "inner": {
            "type": "record",
            "name": "I",
            "fields": [{"name": "n", "type": "int"}, {"name": "z", "type": "int"}],
        },
        "either": ["null", "long", "string"],
    }
    wide = {
        **kinds,
        "enum": {"type": "enum", "name": "E", "symbols": ["B", "C"], "default": "C"},
        "list": {"type": "array", "items": "double"},
        "map": {"type": "map", "values": ["null", "double"]},
        "inner": {"type": "record", "name": "I", "fields": [{"name": "n", "type": "long"}]},
    }
    event = {
        "enum": "A", "fixed": b"xy", "list": [1, 2], "map": {"k": 0.5, "n": None}, "inner": {"n": 4, "z": 1},
        "either": "text",
    }  # fmt: skip
    message = written(record(**kinds), event)
    assert read(record(**kinds), message, record(**wide)) == {
        "enum": "C", "fixed": b"xy", "list": [1.0, 2.0], "map": {"k": 0.5, "n": None}, "inner": {"n": 4},
        "either": "text",
    }  # fmt: skip
    del wide["enum"]["default"]
    found = refused(record(**kinds), message, record(**wide))
    assert (found.field, found.problem) == ("enum", "it is A, which the contract's E does not have")
    with pytest.raises(Unresolvable, match=r"the writer has no inner\.q, which the contract requires"):
        resolve(record(**kinds), record(inner={**kinds["inner"], "fields": [{"name": "q", "type": "int"}]}))
    number = {"name": "n", "type": "int", "default": 9}
    defaults = record()
    defaults["fields"] = [
        {"name": "raw", "type": "bytes", "default": "\u00ff"},
        {"name": "list", "type": {"type": "array", "items": "float"}, "default": [1]},
        {"name": "inner", "type": {**kinds["inner"], "fields": [number]}, "default": {}},
        {"name": "map", "type": {"type": "map", "values": "bytes"}, "default": {"k": "a"}},
    ]  # fmt: skip
    assert read(record(), b"", defaults) == {"raw": b"\xff", "list": [1.0], "inner": {"n": 9}, "map": {"k": b"a"}}


def test_spans_name_the_bytes_of_each_of_the_writers_fields() -> None:
    schema = changed(more=[TAGS])
    message = b"12345" + written(schema, {**EVENT, "tags": ["a"]})
    found = resolve(schema, V2).read(message, 5)
    assert isinstance(found, Reading)
    assert [(span.name, span.target) for span in found.spans] == [*((name, name) for name in EVENT), ("tags", None)]
    ends = [5, *(span.end for span in found.spans)]
    assert [span.start for span in found.spans] == ends[:-1]
    assert ends[-1] == len(message)
    assert message[found.spans[-1].start :] == b"\x02\x02\x02a\x00"


def test_numbers_however_they_are_written() -> None:
    good = written(V2, EVENT)
    clicks = resolve(V2, V2).read(good).spans[2].start
    for longer in (b"\x86\x00", b"\x86\x80\x80\x80\x00", b"\x86\x80\x80\x80\x80\x80\x80\x80\x80\x00"):
        assert read(V2, good[:clicks] + longer + good[clicks + 1 :]) == EVENT
    # The tenth byte has one bit to give. Avro cuts its other bits, and so do we.
    assert read(V2, good[:clicks] + b"\x86" + b"\x80" * 8 + b"\x7e" + good[clicks + 1 :]) == EVENT
    eleven = refused(V2, good[:clicks] + b"\x86" + b"\x80" * 9 + b"\x00" + good[clicks + 1 :])
    assert (eleven.field, eleven.at, eleven.problem) == ("clicks", clicks, "it is a number of more than 10 bytes")
    too_large = refused(V2, good[:clicks] + b"\x80\x80\x80\x80\x10" + good[clicks + 1 :])
    assert too_large.problem == "it is 2147483648, which is no 32-bit integer"
    wide = changed(cost="int")
    assert read(wide, written(changed(cost="long"), {**EVENT, "cost": 2**40}))["cost"] == float(2**40)


def test_branches_are_ints_of_five_bytes_at_most() -> None:
    good = written(V2, {**EVENT, "event_id": None})
    assert good[-1:] == b"\x00"
    assert read(V2, good[:-1] + b"\x80\x80\x80\x80\x00")["event_id"] is None
    # The fifth byte has four bits to give.
    assert read(V2, good[:-1] + b"\x80\x80\x80\x80\x10")["event_id"] is None
    assert refused(V2, good[:-1] + b"\x80\x80\x80\x80\x80\x00").problem == "it is a number of more than 5 bytes"
    assert refused(V2, good[:-1] + b"\x01").problem == "there is no branch -1 in its union of 2"
    assert refused(V2, good[:-1] + b"\x04").problem == "there is no branch 2 in its union of 2"


BLOCKS = b"\x02" + b"\x03\x04\x02a\x02b" + b"\x00"


def test_blocks_that_state_their_size_are_skipped_by_it() -> None:
    schema = changed(more=[{"name": "pad", "type": "int"}, TAGS])
    event = {**EVENT, "pad": 1, "tags": None}
    good = written(schema, event)[:-1]
    assert read(schema, good + b"\x02" + b"\x03\x08\x02a\x02b" + b"\x01\x04\x02c" + b"\x00") == EVENT
    # The content of a block does not matter if no reader needs it.
    assert read(schema, good + b"\x02" + b"\x03\x04\xff\xff" + b"\x00") == EVENT
    assert refused(schema, good + b"\x02" + b"\x03\x0a\x02a\x02b" + b"\x00").problem == "the bytes end before it does"
    # A count may exceed the bytes. Then the message is refused where they end.
    assert refused(schema, good + b"\x02" + b"\xfe\xff\xff\xff\x0f\x02a").field == "tags"
    wanted = resolve(changed(more=[TAGS]), changed(more=[TAGS]))
    assert wanted.read(written(V2, EVENT) + b"\x02" + b"\x03\x08\x02a\x02b" + b"\x00").event["tags"] == ["a", "b"]


def test_lengths_below_zero_and_beyond_the_limit() -> None:
    good = written(V2, EVENT)
    assert refused(V2, b"\x01" + good[1:]).problem == "its length is -1"
    longest = {**EVENT, "ad_id": "x" * LONGEST}
    assert read(V2, written(V2, longest)) == longest
    assert (
        "at most 1,048,576 bytes are read" in refused(V2, written(V2, {**EVENT, "ad_id": "x" * (LONGEST + 1)})).problem
    )
    schema = changed(more=[{"name": "note", "type": "bytes"}])
    # Java's decoder skips nothing for a negative length.
    assert read(schema, good + b"\x01") == EVENT
    assert read(schema, good + written("bytes", b"x" * (LONGEST + 1))) == EVENT


@pytest.mark.parametrize("kind", ["string", ["null", "string"], ["string", "null"]])
def test_text_that_only_the_writer_has_is_read_and_must_be_utf_8(kind: Any) -> None:
    schema, good = changed(more=[{"name": "note", "type": kind}]), written(V2, EVENT)
    branch = b"" if kind == "string" else b"\x00" if kind[0] == "string" else b"\x02"
    assert read(schema, good + branch + b"\x06\xe2\x82\xac") == EVENT
    found = refused(schema, good + branch + b"\x04\xe2\x82")
    assert (found.field, found.problem, found.whole) == ("note", "it is text that is not UTF-8", True)
    assert refused(schema, good + branch + b"\x01").problem == "its length is -1"
    assert "at most" in refused(schema, good + branch + written("bytes", b"x" * (LONGEST + 1))).problem


def test_text_that_is_no_utf_8_is_kept() -> None:
    good = written(V2, EVENT)
    assert read(V2, good.replace(b"ad-1", b"ad\xff1"))["ad_id"] == "ad\udcff1"


def test_of_many_texts_that_only_the_writer_has_the_first_ones_are_looked_at() -> None:
    schema = changed(more=[{"name": f"note{place}", "type": "string"} for place in range(MOST_TEXTS + 1)])
    good, bad = written(V2, EVENT), b"\x02\xff"
    fine = b"\x02a"
    assert read(schema, good + fine * MOST_TEXTS + bad) == EVENT
    assert refused(schema, good + fine * (MOST_TEXTS - 1) + bad + fine).field == f"note{MOST_TEXTS - 1}"


def test_a_time_beyond_the_calendar_is_a_fault_of_its_message() -> None:
    last = (2**63 - 1) // 1_000
    assert read(V2, written(V2, {**EVENT, "timestamp": last}))["timestamp"] == last
    assert read(V2, written(V2, {**EVENT, "timestamp": -last}))["timestamp"] == -last
    found = refused(V2, written(V2, {**EVENT, "timestamp": last + 1}))
    assert (found.whole, found.problem) == (True, f"it is {last + 1} ms, which is beyond the calendar")


def test_a_long_becomes_the_nearest_float_in_one_step() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "long"}]}
    reader = {"type": "record", "name": "R", "fields": [{"name": "f", "type": "float"}]}
    # Halfway between two floats, and one more. A detour over a double loses the one, then rounds to the even float.
    number = (2**24 + 1) * 2**36 + 1
    assert read(schema, written(schema, {"f": number}), reader) == {"f": float((2**24 + 2) * 2**36)}
    assert read(schema, written(schema, {"f": -number}), reader) == {"f": -float((2**24 + 2) * 2**36)}
    assert json.dumps(read(schema, written(schema, {"f": 3}), reader)) == '{"f": 3.0}'
