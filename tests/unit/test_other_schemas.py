"""Every command over messages with other people's schemas: `explain`, `replay --set` and `consume`."""

import json
import struct
from datetime import timedelta
from typing import Any

import pytest

from adstream.dead_letters.dead_letter_pages import advice, page
from adstream.dead_letters.diagnosis import Diagnoser, Diagnosis
from adstream.dead_letters.letters import Letter, Place
from adstream.dead_letters.repair import repaired
from adstream.dead_letters.topic_readers import TopicReader
from common import contracts, reasons
from common.avro import wire
from common.errors import ConfigError, ReplayRefused, SchemaNotFound
from common.registry import Registered
from consumer.decoding import Broken, Decoded, Decoder
from consumer.display import as_json
from tests.unit.streaming.wire_messages import NOW
from tests.unit.test_avro_resolution import (
    ADDED,
    AS_IT_IS,
    CANNOT,
    DECIMAL,
    EVENT,
    MICROS,
    NANOS,
    OTHER,
    TAGS,
    UUID,
    V2,
    changed,
    written,
)

CONTRACT = contracts.latest("ads_data")
READER = TopicReader("ad-metrics", CONTRACT, takes_json=False, lateness=timedelta(minutes=10))
ARRIVAL = int(NOW.timestamp() * 1_000)
GOOD = {**EVENT, "timestamp": ARRIVAL}
NEGATED = b"\x02" + b"\x03\x08\x02a\x02b" + b"\x00"


def diagnoser(schema: Any) -> Diagnoser:
    writers = {7: Registered(7, 3, schema if isinstance(schema, str) else json.dumps(schema))}
    return Diagnoser("ads_data-value", writers, lambda _id: "[]", CONTRACT, takes_json=False)


def explained(schema: Any, payload: bytes) -> Diagnosis:
    return diagnoser(schema)(wire.frame(7, payload), [], ARRIVAL)


def shown(found: Diagnosis, value: bytes, reason: str = "undecodable") -> str:
    letter = Letter(Place("ads_data", 1, 4711), reason, NOW, 7, "ad-metrics", len(value), b"", value, [], NOW)
    lines = list(page(letter, found, None, READER, 64))
    assert all(line.isprintable() for line in lines)
    return "\n".join(lines)


def set_in(schema: Any, payload: bytes, **changes: str) -> bytes:
    value = wire.frame(7, payload)
    return repaired(value, diagnoser(schema)(value, [], ARRIVAL), changes, CONTRACT, NOW)


class Registry:
    """Returns one schema for any id."""

    def __init__(self, text: str) -> None:
        self.text = text

    def by_id(self, _schema_id: int) -> str:
        return self.text


def consumed(schema: Any, payload: bytes) -> Decoded | Broken:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return Decoder(Registry(text))(wire.frame(7, payload))  # type: ignore[arg-type]


class Message:
    """The part of a message that a line shows. Only librdkafka can make the real class."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def value(self) -> bytes:
        return self._value

    def topic(self) -> str:
        return "ads_data"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 1

    def timestamp(self) -> tuple[int, int]:
        return 2, ARRIVAL

    def key(self) -> bytes:
        return b"k"

    def headers(self) -> None:
        return None


@pytest.mark.parametrize("name", AS_IT_IS)
def test_what_resolves_is_explained_and_consumed(name: str) -> None:
    schema, own, _ = AS_IT_IS[name]
    payload = written(schema, {**GOOD, **own})
    found = explained(schema, payload)
    assert found.reason == ("timestamp_before_1970" if own.get("timestamp", 0) < 0 else None)
    assert found.event is not None
    assert [each.value for each in found.fields if each.name == "clicks"] == [3]
    assert isinstance(consumed(schema, payload), Decoded)


@pytest.mark.parametrize("name", ADDED)
def test_new_fields_of_every_type_are_shown(name: str) -> None:
    kind, value = ADDED[name]
    schema = changed(more=[{"name": "added", "type": kind}])
    payload = written(schema, {**GOOD, "added": value})
    found = explained(schema, payload)
    assert found.reason is None
    assert found.fields[-1].value == value
    assert "added = " in shown(found, wire.frame(7, payload))
    assert json.loads(as_json(Message(b""), consumed(schema, payload)))["value"]["added"] is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CANNOT)
def test_a_schema_that_the_contract_cannot_read_is_named_with_the_reason(name: str) -> None:
    schema, problem = json.dumps(CANNOT[name][0]), CANNOT[name][1]
    found = explained(schema, written(V2, GOOD))
    assert (found.reason, found.problem) == (reasons.INCOMPATIBLE_SCHEMA, problem)
    assert problem in shown(found, b"").replace("\\u0027", "'")
    with pytest.raises(ReplayRefused, match="--set needs an event that can be read"):
        set_in(schema, written(V2, GOOD), clicks="0")
    # Whether the schema alone can read it or not, the output is one line without a traceback.
    assert as_json(Message(b"\x00"), consumed(schema, written(V2, GOOD)))  # type: ignore[arg-type]


def test_a_decimal_cost_is_shown_as_it_was_written() -> None:
    schema = changed(cost=DECIMAL)
    found = explained(schema, written(schema, {**GOOD, "cost": b"\x30\x39"}))
    assert {each.name: each.value for each in found.fields} == {**GOOD, "cost": b"\x30\x39"}
    assert advice(_letter(), found, None).startswith("The contract cannot read the schema that wrote it")
    decoded = consumed(schema, written(schema, {**GOOD, "cost": b"\x30\x39"}))
    assert isinstance(decoded, Decoded)
    assert str(decoded.value["cost"]) == "1.2345"


def test_a_decimal_of_more_digits_than_its_schema_has_is_shown_as_it_was_written() -> None:
    schema = changed(cost={**DECIMAL, "precision": 4, "scale": 2})
    decoded = consumed(schema, written(schema, {**GOOD, "cost": (123_456).to_bytes(3)}))
    assert isinstance(decoded, Decoded)
    assert str(decoded.value["cost"]) == "1234.56"


def test_a_uuid_is_shown_in_the_letters_that_were_written() -> None:
    schema = changed(event_id=["null", UUID])
    text = "7F3B1C9E-52D4-4B60-9A81-0C6E4F2D7A35"
    assert consumed(schema, written(schema, {**GOOD, "event_id": text})) == Decoded(
        7, {**consumed_good(), "event_id": text}
    )


def _letter() -> Letter:
    return Letter(Place("ads_data", 1, 4711), "x", NOW, 7, "ad-metrics", 1, b"", b"", [], NOW)


@pytest.mark.parametrize("text", ["", "no json", "[" * 5_000, 'syntax = "proto3";', "7", "null", '"string"', "{}"])
def test_whatever_the_registry_holds_ends_no_command(text: str) -> None:
    found = explained(text, b"\x06abc")
    assert found.reason == reasons.INCOMPATIBLE_SCHEMA
    assert found.problem in shown(found, b"\x06abc")
    assert as_json(Message(b"\x06abc"), consumed(text, b"\x06abc"))  # type: ignore[arg-type]


def test_an_id_of_another_subject_is_named_whatever_its_schema_is() -> None:
    value = wire.frame(99, b"x")
    for text, says in (('"string"', "a string"), ("[]", "a union of nothing"), ("{", "a schema that is no JSON")):
        check = Diagnoser("ads_data-value", {}, lambda _id, text=text: text, CONTRACT, takes_json=False)  # type: ignore[misc]
        assert f"({says})" in check(value, [], ARRIVAL).problem

    def unknown(_id: int) -> str:
        raise SchemaNotFound("")

    check = Diagnoser("ads_data-value", {}, unknown, CONTRACT, takes_json=False)
    assert check(value, [], ARRIVAL).problem == "the registry does not know schema id 99"


def test_a_schema_within_itself_is_explained_as_far_as_stack_allows() -> None:
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    schema = changed(more=[{"name": "nodes", "type": node}])
    good = explained(schema, written(V2, GOOD) + b"\x02\x02\x00")
    assert (good.reason, good.problem) == ("recursive_schema", "the writer's adstream.Node can hold itself")
    assert good.fields[-1].value == {"next": {"next": {"next": None}}}
    deep = written(V2, GOOD) + b"\x02" * 2_000 + b"\x00"
    assert explained(schema, deep).fields[-1].error == "it is nested too deep"
    assert consumed(schema, deep) == Broken("not readable by its schema (it is nested too deep)", 7)


def test_blocks_with_a_negated_count_stay_as_they_are_when_clicks_is_set() -> None:
    schema = changed(more=[TAGS])
    payload = written(schema, {**GOOD, "clicks": -1, "tags": None})[:-1] + NEGATED
    found = explained(schema, payload)
    assert found.reason == "clicks_negative"
    assert found.fields[-1].value == ["a", "b"]
    value = set_in(schema, payload, clicks="0")
    assert value == wire.frame(7, payload.replace(b"\x01", b"\x00", 1))
    again = diagnoser(schema)(value, [], ARRIVAL)
    assert (again.reason, again.event) == (None, {**GOOD, "clicks": 0})
    assert consumed(schema, payload) == Decoded(7, {**consumed_good(), "clicks": -1, "tags": ["a", "b"]})


def consumed_good() -> dict[str, Any]:
    return {**GOOD, "timestamp": NOW}


def test_a_null_that_the_contract_does_not_take_is_set() -> None:
    schema = changed(cost=["null", "double"], timestamp=["null", MICROS], more=[TAGS])
    payload = written(schema, {**GOOD, "cost": None, "timestamp": None, "tags": None})[:-1] + NEGATED
    found = explained(schema, payload)
    assert found.reason == reasons.UNDECODABLE
    assert (
        found.problem
        == "timestamp, from byte 10 on, cannot be read: it is null, and the contract wants a long (timestamp-millis)"
    )
    assert "--set timestamp=VALUE" in advice(_letter(), found, None)
    with pytest.raises(ConfigError, match="cost=cheap is no double"):
        set_in(schema, payload, cost="cheap")
    value = set_in(schema, payload, cost="1.5", timestamp="now")
    again = diagnoser(schema)(value, [], ARRIVAL)
    assert again.event == {**GOOD, "cost": 1.5}
    assert value.endswith(NEGATED)


SETTABLE: dict[str, tuple[Any, str, Any]] = {
    "microseconds": (MICROS, "2026-03-01T12:00:00.123456Z", ARRIVAL * 1_000 + 123_000),
    "nanoseconds, in milliseconds": (NANOS, str(ARRIVAL), ARRIVAL * 1_000_000),
    "a uuid": (["null", UUID], "order-17", "order-17"),
    "no uuid": (["null", UUID], "null", None),
    "the branch that takes it": (["null", "int", "float", "string"], "0.5", 0.5),
    "text, if no number": (["int", "string"], "many", "many"),
    "an enum": ({"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, "B", "B"),
    "a boolean": ("boolean", "true", True),
    "bytes": ("bytes", "é", "é".encode()),
}


@pytest.mark.parametrize("name", SETTABLE)
def test_fields_of_the_writer_are_set_by_their_own_type(name: str) -> None:
    kind, text, value = SETTABLE[name]
    schema = {**V2, "fields": [{"name": "added", "type": kind}, *V2["fields"]]}
    first = {"microseconds": 0, "nanoseconds, in milliseconds": 0, "no uuid": "x", "an enum": "A", "a boolean": False}
    before = first.get(name, b"" if kind == "bytes" else None if "null" in kind else 0)
    found = diagnoser(schema)(set_in(schema, written(schema, {**GOOD, "added": before}), added=text), [], ARRIVAL)
    assert (found.fields[0].value, found.event) == (value, GOOD)


def test_what_cannot_be_set_is_refused_in_one_line() -> None:
    schema = changed(cost="float", more=[TAGS, {"name": "price", "type": DECIMAL}, {"name": "kind", "type": "null"}])
    payload = written(schema, {**GOOD, "clicks": -1, "tags": None, "price": b"", "kind": None})
    for change, says in {
        "tags=a": "tags is an array, which --set cannot write",
        "price=1": r"price is bytes \(decimal\), which --set cannot write",
        "kind=1": "kind is null, which --set cannot write",
        "cost=1e300": "cost=1e300 cannot be written",
        "clicks=1.5": "clicks=1.5 is no int",
        "campaign=1": "the event has no field campaign",
    }.items():
        name, _, text = change.partition("=")
        with pytest.raises(ConfigError, match=says):
            set_in(schema, payload, **{name: text})


def test_an_alias_of_the_contract_may_be_set_by_either_name() -> None:
    old = {**V2, "fields": [{**field, "name": field["name"].replace("clicks", "taps")} for field in V2["fields"]]}
    aliased = [{**field, "aliases": ["taps"]} if field["name"] == "clicks" else field for field in V2["fields"]]
    contract = contracts.Contract("ads_data-value", 3, json.dumps({**V2, "fields": aliased}))
    value = wire.frame(7, written(old, {**{key: GOOD[key] for key in GOOD if key != "clicks"}, "taps": -1}))
    check = Diagnoser(
        "ads_data-value", {7: Registered(7, 3, json.dumps(old))}, lambda _id: "", contract, takes_json=False
    )
    found = check(value, [], ARRIVAL)
    assert found.reason == "clicks_negative"
    for name in ("clicks", "taps"):
        assert check(repaired(value, found, {name: "3"}, contract, NOW), [], ARRIVAL).event == GOOD


def test_a_union_of_records_is_explained_by_its_branch() -> None:
    good = explained([OTHER, V2], b"\x02" + written(V2, GOOD))
    assert (good.reason, good.event, good.fields[0].start) == (None, GOOD, 6)
    other = explained([OTHER, V2], b"\x00\x02")
    assert other.reason == reasons.UNDECODABLE
    assert "the message is a record adstream.Other, and the contract a record adstream.AdEvent" in other.problem
    assert "a record adstream.Other or a record adstream.AdEvent" in shown(other, b"")
    value = set_in([OTHER, V2], b"\x02" + written(V2, {**GOOD, "clicks": -1}), clicks="3")
    assert value == wire.frame(7, b"\x02" + written(V2, GOOD))


@pytest.mark.parametrize(("kind", "units"), [(MICROS, 1_000), (["null", NANOS], 1_000_000), ("long", 1)])
def test_a_time_is_shown_in_the_unit_that_it_was_written_in(kind: Any, units: int) -> None:
    schema = changed(timestamp=kind)
    payload = written(schema, {**GOOD, "timestamp": ARRIVAL * units})
    lines = shown(explained(schema, payload), wire.frame(7, payload))
    assert f"timestamp = {ARRIVAL * units} (2026-03-01 12:00:00 UTC)" in lines


def test_numbers_that_are_longer_than_need_be_are_no_fault() -> None:
    payload = written(V2, GOOD)
    start = 1 + 4 + 6
    longer = payload[:start] + b"\x86\x80\x00" + payload[start + 1 :]
    assert explained(V2, longer).event == GOOD
    assert consumed(V2, longer) == Decoded(7, consumed_good())
    assert set_in(V2, longer, cost="2")[:20] == wire.frame(7, longer)[:20]
    assert struct.unpack("<d", set_in(V2, longer, cost="2")[5 + start + 3 + 2 :][:8]) == (2.0,)


def test_what_an_annotation_cannot_hold_is_consumed_as_it_is_stored() -> None:
    schema = changed(event_id=["null", UUID], timestamp=MICROS)
    found = consumed(schema, written(schema, {**GOOD, "event_id": "order-17", "timestamp": 2**62}))
    assert found == Decoded(7, {**GOOD, "event_id": "order-17", "timestamp": 2**62})
