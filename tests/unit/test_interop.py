"""Every plain-Python reader gets from other encoders' bytes the values that were encoded."""

import json
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.verify.judge import Judge
from common import contracts
from common.errors import SchemaNotFound
from common.registry import Registered
from consumer.decoding import Decoded, Decoder
from tests.interop.messages import ARRIVAL, TOOLS, Message, messages, schemas

ID = 7
READER = contracts.latest("ads_data")
MESSAGES = messages()
every_message = pytest.mark.parametrize("message", MESSAGES, ids=str)


class _Registry:
    """Knows one schema."""

    def __init__(self, text: str) -> None:
        self._text = text

    def by_id(self, schema_id: int) -> str:
        return self._text


def _nothing_else(schema_id: int) -> str:
    raise SchemaNotFound(f"id {schema_id}")


def test_every_tool_wrote_every_case() -> None:
    for case in schemas():
        tools = {tool for message in MESSAGES if message.case == case for tool in message.sources}
        assert tools == set(TOOLS.values()), case
    assert any(b"\x02\x03\x18\x0cspring\x08sale\x00" in each.payload for each in MESSAGES), "a negated count and a size"


@every_message
def test_the_oracle_reads_what_was_written(message: Message) -> None:
    found = Judge({ID: json.loads(message.schema)}, timedelta(minutes=10)).judge(0, 0, ARRIVAL, message.framed(ID))
    assert found.outcome == message.fate
    if message.seen is not None:
        assert {name: getattr(found, name) for name in message.seen} == message.seen


@every_message
def test_explain_reads_what_was_written(message: Message) -> None:
    writers = {ID: Registered(ID, 3, message.schema)}
    diagnose = Diagnoser("ads_data-value", writers, _nothing_else, READER, takes_json=False)
    found = diagnose(message.framed(ID), [], ARRIVAL)
    assert ("dead" if found.reason else "counted") == message.fate
    if message.reason:
        assert found.reason == message.reason
    if message.seen is not None:
        assert _seen(found.event or {}) == message.seen


@every_message
def test_consume_shows_what_was_written(message: Message) -> None:
    found = Decoder(_Registry(message.schema))(message.framed(ID))  # type: ignore[arg-type]
    assert isinstance(found, Decoded)
    stored = _plain(message.stored, json.loads(message.schema))
    assert found.value.keys() == stored.keys()
    # Avro's JSON has times, decimals and records in other types. A float has seven digits.
    shown = {name: _text(value) for name, value in found.value.items()}
    same = [name for name, value in stored.items() if type(shown[name]) is type(value) and not isinstance(value, dict)]
    assert same
    for name in same:
        assert shown[name] == (pytest.approx(stored[name], rel=1e-7) if name == "cost" else stored[name]), name


def _seen(event: dict[str, Any]) -> dict[str, Any]:
    micros = (Decimal(repr(event["cost"])) * 1_000_000).quantize(Decimal(1), ROUND_HALF_UP)
    seen = {name: event.get(name) for name in ("ad_id", "timestamp", "clicks", "views", "event_id")}
    return {**seen, "cost_micros": int(micros)}


def _plain(stored: Any, schema: Any) -> dict[str, Any]:
    """Return the event without branch names, which Avro's JSON encoding puts around a union's value."""
    if isinstance(schema, list):
        ((branch, stored),) = stored.items()
        schema = next(each for each in schema if f"{each['namespace']}.{each['name']}" == branch)
    unions = {field["name"] for field in schema["fields"] if isinstance(field["type"], list)}
    return {
        name: next(iter(value.values())) if name in unions and value is not None else value
        for name, value in stored.items()
    }


def _text(value: Any) -> Any:
    """Return bytes as Avro's JSON writes them: a character for each byte."""
    return value.decode("latin-1") if isinstance(value, bytes) else value
