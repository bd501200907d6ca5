"""Random schemas that a registry accepts as versions after ads_data v2, and messages of each.

BACKWARD checks that the new schema reads v2's messages. A job needs the reverse, which nobody checks: v2 must read the
new schema's messages. This module writes the messages itself: no library writes numbers longer than necessary, blocks
with a negated count, or branches that do not exist.
"""

import json
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from common import contracts
from common.avro import wire
from common.avro.schema_types import Type, parse

SCHEMAS, MESSAGES = 200, 50
FIRST_ID = 1_000
NOW = 1_772_366_400_000
MINUTE = 60_000
V2 = contracts.latest("ads_data")
_PER_MILLI = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}


@dataclass
class WriterSchema:
    """One version. `changes` names the changes to v2, and `backward` says whether BACKWARD accepts it."""

    schema_id: int
    schema: Any
    changes: tuple[str, ...]
    backward: bool

    @property
    def text(self) -> str:
        return json.dumps(self.schema)

    def messages(self, seed: int) -> list[tuple[bytes, int]]:
        """Return values with header and broker time (ms, UTC): good messages, and each kind of bad ones."""
        rng = Random(f"{seed} {self.schema_id}")
        writer = _Writer(rng, self.schema_id, parse(self.schema))
        return [(writer.message(number), NOW + rng.randrange(MINUTE)) for number in range(MESSAGES)]


def writer_schemas(seed: int) -> list[WriterSchema]:
    """Return `SCHEMAS` versions that BACKWARD accepts, each with one to four changes."""
    rng = Random(seed)
    found: list[WriterSchema] = []
    while len(found) < SCHEMAS:
        names = tuple(rng.sample(list(CHANGES), rng.choice([1, 1, 2, 3, 4])))
        schema: Any = V2.schema
        for name in names:
            schema = CHANGES[name](rng, schema)
        if rng.random() < 0.1:
            schema, names = _in_union(rng, schema), (*names, "union")
        if takes(schema):
            found.append(WriterSchema(FIRST_ID + len(found), schema, names, backward=True))
    return found


def takes(schema: Any) -> bool:
    """Return whether a registry with BACKWARD accepts the schema after v2, by Apache Avro's own checker."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
            new, old = avro.schema.parse(json.dumps(schema)), avro.schema.parse(V2.text)
    except avro.errors.AvroException:
        return False
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    return checker.get_compatibility(new, old).compatibility is SchemaCompatibilityType.compatible


Change = Callable[[Random, dict[str, Any]], dict[str, Any]]


def _typed(rng: Random, schema: dict[str, Any], kinds: dict[str, list[Any]]) -> dict[str, Any]:
    """Give one of the named fields one of its other types."""
    name = rng.choice(list(kinds))
    fields = [
        {"name": name, "type": rng.choice(kinds[name])} if each["name"] == name else each for each in schema["fields"]
    ]
    return {**schema, "fields": fields}


def _nullable(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    fields = []
    for each in schema["fields"]:
        if isinstance(each["type"], list) or rng.random() < 0.5:
            fields.append(each)
        elif rng.random() < 0.5:
            fields.append({"name": each["name"], "type": ["null", each["type"]], "default": None})
        else:
            fields.append({"name": each["name"], "type": [each["type"], "null"]})
    return {**schema, "fields": fields}


def _annotated(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    def long(logical: str) -> dict[str, str]:
        return {"type": "long", "logicalType": logical}

    every = ["timestamp-micros", "timestamp-nanos", "local-timestamp-millis", "time-micros", "epoch"]
    uuid = {"type": "string", "logicalType": "uuid"}
    return _typed(
        rng,
        schema,
        {
            "timestamp": ["long", *(long(name) for name in every), ["null", long("timestamp-micros")]],
            "event_id": [["null", uuid], uuid, [{"type": "string", "logicalType": "date"}, "null"]],
            "clicks": [
                {"type": "int", "logicalType": name} for name in ("date", "time-millis", "timestamp-millis", "n")
            ],
            "ad_id": [uuid, {"type": "string", "logicalType": "decimal"}],
        },
    )


def _promoted(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    kinds = {
        "clicks": ["long", "float", "double", ["null", "int", "long"]],
        "views": ["long", ["int", "string"], ["null", "float", "int"]],
        "ad_id": ["bytes", ["string", "int"], ["bytes", "string"]],
        "event_id": [["null", "bytes"], ["null", "int", "string"], "string"],
        "cost": [["null", "int", "double"], ["double", "long"], ["float", "double"]],
    }
    return _typed(rng, schema, kinds)


def _added(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    number = len(schema["fields"])
    name = f"Added{number}"
    inner = {"type": "enum", "name": f"{name}Kind", "symbols": ["X", "Y"]}
    choices: list[tuple[Any, Any]] = [
        ({"type": "enum", "name": name, "symbols": ["A", "B", "C"], "default": "A"}, "B"),
        ({"type": "array", "items": rng.choice(["string", "long", ["null", "int"]])}, []),
        ({"type": "map", "values": rng.choice(["double", "bytes", {"type": "array", "items": "int"}])}, {}),
        ({"type": "fixed", "name": name, "size": rng.choice([1, 16])}, None),
        (["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}], None),
        (["null", {"type": "fixed", "name": name, "size": 6, "logicalType": "decimal", "precision": 10}], None),
        (["null", {"type": "array", "items": "string"}], None),
        (["null", "boolean", "float", {"type": "map", "values": "string"}], None),
        ({"type": "int", "logicalType": "date"}, 0),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, 0),
        ("string", ""),
        ("bytes", "\u00ff"),
        (["null", "string"], None),
        (
            {
                "type": "record", "name": name, "namespace": "elsewhere", "fields": [
                    {"name": "host", "type": ["null", "string"], "default": None},
                    {"name": "kind", "type": inner, "default": "X"},
                    {"name": "kinds", "type": {"type": "array", "items": f"{name}Kind"}, "default": []},
                ],
            },
            {},
        ),
    ]  # fmt: skip
    kind, default = rng.choice(choices)
    added = {"name": f"added_{number}", "type": kind, "default": default}
    if isinstance(kind, dict) and kind["type"] == "fixed":
        added = {"name": added["name"], "type": ["null", kind], "default": None}
    place = rng.randrange(number + 1)
    return {**schema, "fields": [*schema["fields"][:place], added, *schema["fields"][place:]]}


def _dropped(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    name = rng.choice(["event_id", "event_id", "event_id", "views"])
    return {**schema, "fields": [each for each in schema["fields"] if each["name"] != name]}


def _reordered(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": rng.sample(schema["fields"], len(schema["fields"]))}


def _decorated(_rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    """Add attributes that Connect and others write, and that no reader minds."""
    fields = [
        {**each, "doc": "Ein Feld", "order": "ignore", "aliases": [f"old_{each['name']}"], "connect.index": place}
        for place, each in enumerate(schema["fields"])
    ]
    return {**schema, "doc": "x", "connect.name": "adstream.AdEvent", "aliases": ["Impression"], "fields": fields}


def _renamed(rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    name = {"name": rng.choice(["AdEvent", "Impression"]), "namespace": rng.choice(["com.example", "adstream"])}
    return {**schema, **name, "aliases": ["adstream.AdEvent"]}


def _in_capitals(_rng: Random, schema: dict[str, Any]) -> dict[str, Any]:
    def nullable(kind: Any) -> Any:
        branches = kind if isinstance(kind, list) else [kind]
        return ["null", *(branch for branch in branches if branch != "null")]

    fields = [
        {"name": each["name"].upper(), "type": nullable(each["type"]), "default": None} for each in schema["fields"]
    ]
    return {**schema, "fields": fields}


CHANGES: dict[str, Change] = {
    "nullable": _nullable,
    "annotated": _annotated,
    "promoted": _promoted,
    "added": _added,
    "added besides": _added,
    "added as well": _added,
    "dropped": _dropped,
    "reordered": _reordered,
    "decorated": _decorated,
    "renamed": _renamed,
    "capitals": _in_capitals,
}


def _in_union(rng: Random, schema: dict[str, Any]) -> list[Any]:
    """Return a union at the top: the event's record with another one, or alone."""
    other = {"type": "record", "name": "Other", "namespace": "adstream", "fields": [{"name": "n", "type": "int"}]}
    return rng.choice([[other, schema], [schema, other], [schema]])


@dataclass
class _Writer:
    """Writes messages of one schema. Each message has a random style."""

    rng: Random
    schema_id: int
    kind: Type
    longer: float = 0.0
    negated: float = 0.0
    wrong_branch: float = 0.0
    number: int = 0
    values: dict[str, Any] = field(default_factory=dict)

    def message(self, number: int) -> bytes:
        rng = self.rng
        self.number, self.longer, self.negated, self.wrong_branch, self.values = number, 0.0, 0.3, 0.0, {}
        fault = rng.choice(["", "", "", "", "longer", "negative", "truncated", "trailing", "branch", "text"])
        if fault == "longer":
            self.longer = 0.4
        elif fault == "negative":
            self.values = {rng.choice(["clicks", "views", "cost"]): -1}
        elif fault == "branch":
            self.wrong_branch = 0.3
        elif fault == "text":
            self.values = {rng.choice(["ad_id", "event_id", "added"]): b"\xff"}
        value = wire.frame(self.schema_id, self._encoded(self.kind, ""))
        if fault == "truncated":
            return value[: rng.randrange(wire.HEADER_BYTES, len(value))]
        return value + rng.randbytes(rng.randrange(1, 4)) if fault == "trailing" else value

    def _number(self, number: int, most: int = 10) -> bytes:
        rest = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
        found = bytearray([rest & 0x7F])
        while rest := rest >> 7:
            found.append(rest & 0x7F)
        if self.rng.random() < self.longer:
            found += bytes(self.rng.randrange(max(1, most + 1 - len(found))))
        return bytes([each | 0x80 for each in found[:-1]]) + found[-1:]

    def _encoded(self, kind: Type, name: str) -> bytes:
        if kind.kind == "record":
            return b"".join(self._encoded(each.type, each.name.lower()) for each in kind.fields)
        if kind.kind == "union":
            return self._branch(kind, name)
        if kind.kind in ("array", "map"):
            items = [self._encoded(kind.parts[0], "") for _ in range(self.rng.choice([0, 1, 2, 5]))]
            if kind.kind == "map":
                items = [self._number(1) + bytes([97 + place]) + each for place, each in enumerate(items)]
            return self._blocks(items)
        return self._simple(kind, name)

    def _simple(self, kind: Type, name: str) -> bytes:
        match kind.kind:
            case "null":
                return b""
            case "boolean" | "fixed":
                return bytes([self.rng.randrange(2)]) * (kind.size or 1)
            case "enum":
                return self._number(self.rng.randrange(len(kind.symbols)), 5)
            case "int" | "long":
                return self._number(self._whole(name, kind), 5 if kind.kind == "int" else 10)
            case "float":
                return struct.pack("<f", self._whole(name, kind))
            case "double":
                return struct.pack("<d", self._whole(name, kind) * 1.25)
        text = self._text(name)
        return self._number(len(text)) + text

    def _branch(self, kind: Type, name: str) -> bytes:
        rng = self.rng
        chosen = rng.randrange(len(kind.parts))
        if kind.parts[chosen].kind == "null" and rng.random() < 0.6:
            chosen = len(kind.parts) - 1
        index = chosen
        if rng.random() < self.wrong_branch:
            index = rng.choice([-1, len(kind.parts), -(2**31), 2**32 + chosen])
        return self._number(index, 5) + self._encoded(kind.parts[chosen], name)

    def _blocks(self, items: list[bytes]) -> bytes:
        """Encode the items in one or two blocks. A negated count is followed by the block's size."""
        cut = self.rng.randrange(len(items) + 1)
        found = b""
        for block in (items[:cut], items[cut:]):
            held = b"".join(block)
            if block and self.rng.random() < self.negated:
                found += self._number(-len(block)) + self._number(len(held)) + held
            elif block:
                found += self._number(len(block)) + held
        return found + self._number(0)

    def _whole(self, name: str, kind: Type) -> int:
        if name in self.values and isinstance(self.values[name], int):
            return int(self.values[name])
        if name == "timestamp" and kind.kind == "long":
            late = self.rng.choice([0, 0, 0, 20]) * MINUTE
            return (NOW - self.rng.randrange(5 * MINUTE) - late) * _PER_MILLI.get(kind.logical, 1)
        return self.rng.choice([0, 1, 7, 100, 8_191, 8_192])

    def _text(self, name: str) -> bytes:
        wrong = self.values.get("added" if name.startswith("added") else name)
        if isinstance(wrong, bytes):
            return wrong
        if name == "ad_id":
            return self.rng.choice([b"ad-1", b"ad-2", b"ad-3"])
        if name == "event_id":
            return f"{self.schema_id}-{self.number}".encode()
        return self.rng.choice([b"", b"a", "\u00e9".encode(), b"x" * 70])
