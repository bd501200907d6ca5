"""Schema texts with the same meaning are equal. Types of other texts are written out once."""

import io
import json
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_one

from common.registry.schema_text import same_schema, self_contained

RECORD: dict[str, Any] = {
    "type": "record", "name": "R", "namespace": "n", "doc": "d", "connect.name": "r",
    "fields": [
        {"name": "doc", "type": "string", "doc": "A field of this name is no documentation."},
        {"name": "a", "type": {"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["X"], "doc": "e"}},
         "default": {"doc": "X"}},
    ],
}  # fmt: skip


def changed(**change: object) -> str:
    return json.dumps(RECORD | change)


def test_white_space_order_and_documentation_say_nothing() -> None:
    bare = json.loads(json.dumps(RECORD))
    del bare["doc"], bare["fields"][0]["doc"], bare["fields"][1]["type"]["values"]["doc"]
    other = json.dumps(bare, indent=3, sort_keys=True)
    assert same_schema(json.dumps(RECORD), other, documentation=False)
    assert not same_schema(json.dumps(RECORD), other)
    assert same_schema(json.dumps(RECORD), json.dumps(RECORD, indent=3, sort_keys=True))


@pytest.mark.parametrize(
    "other",
    [
        changed(name="S"),
        changed(namespace="m"),
        changed(**{"connect.name": "s"}),
        changed(aliases=["Q"]),
        changed(fields=RECORD["fields"][::-1]),
        changed(fields=[RECORD["fields"][0], {**RECORD["fields"][1], "default": {"doc": "X", "more": "X"}}]),
        changed(fields=[RECORD["fields"][0], {**RECORD["fields"][1], "default": {}}]),
        "no JSON",
    ],
)
def test_all_else_says_something(other: str) -> None:
    assert not same_schema(json.dumps(RECORD), other)
    assert not same_schema(json.dumps(RECORD), other, documentation=False)


USER = {"type": "record", "name": "geo.Place", "fields": [{"name": "city", "type": "string"}]}
ENUM = {"type": "enum", "name": "Size", "symbols": ["S", "L"]}
FIXED = {"type": "fixed", "name": "Hash", "namespace": "geo", "size": 4}


@pytest.mark.parametrize(
    ("text", "definitions"),
    [
        ({"type": "record", "name": "a.R", "fields": [{"name": "p", "type": "geo.Place"}]}, [USER]),
        ({"type": "record", "name": "geo.R", "fields": [{"name": "p", "type": ["null", "Place"]}]}, [USER]),
        ({"type": "record", "name": "R", "fields": [{"name": "p", "type": "Size"}]}, [ENUM]),
        ({"type": "record", "name": "R", "fields": [{"name": "p", "type": {"type": "geo.Hash"}}]}, [FIXED]),
        ({"type": "record", "name": "R", "fields": [{"name": "p", "type": {"type": "array", "items": "geo.Place"}},
                                                    {"name": "q", "type": {"type": "map", "values": "geo.Hash"}},
                                                    {"name": "r", "type": "geo.Place"}]}, [USER, FIXED]),
        (["null", "geo.Place"], [USER]),
        ("geo.Place", [USER]),
        ({"type": "record", "name": "R", "fields": [{"name": "p", "type": "geo.Both"}]},
         [{"type": "record", "name": "geo.Both",
           "fields": [{"name": "x", "type": "Place"}, {"name": "y", "type": "Hash"},
                      {"name": "z", "type": ["null", "Both"]}]}, FIXED, USER]),
    ],
)  # fmt: skip
def test_a_schema_stands_by_itself(text: object, definitions: list[object]) -> None:
    """Compare with fastavro, which gets the definitions by name."""
    named: dict[str, Any] = {}
    for each in reversed(definitions):
        fastavro.parse_schema(each, named)  # type: ignore[arg-type]
    written = json.loads(self_contained(json.dumps(text), map(json.dumps, definitions)))
    alone = fastavro.schema.to_parsing_canonical_form(fastavro.parse_schema(written))
    assert "geo.Both" in alone or "geo.Place" in alone or "geo.Hash" in alone or "Size" in alone
    for name in ("geo.Place", "geo.Hash", "Size", "geo.Both"):
        assert alone.count(f'{{"name":"{name}"') <= 1
    # Messages of the type must survive writing and reading.
    fastavro.schemaless_writer(io.BytesIO(), written, generate_one(written))


@pytest.mark.parametrize("text", ["no JSON", "[" * 5_000, '{"type": "record"}', "3"])
def test_a_text_that_cannot_be_read_stays(text: str) -> None:
    assert self_contained(text, [json.dumps(USER)]) == text
