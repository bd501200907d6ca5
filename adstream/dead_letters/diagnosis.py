"""Diagnose one message by reading it again: the header, then field by field, then the rules.

The result is the job's decision of today: with the present schemas of the topic's subject, by Avro's schema resolution.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from adstream.dead_letters.json_text import JsonProblem, from_json
from adstream.dead_letters.letters import Headers
from common import reasons
from common.avro import wire
from common.avro.binary import Malformed
from common.avro.plain import PlainReader
from common.avro.resolution import Resolution, Span, Unreadable
from common.avro.schema_types import SchemaProblem, Type, from_text, parse
from common.avro.wire_formats import looks_like, other_registry
from common.avro.writer_schemas import Refusal, resolution
from common.contracts import Contract
from common.errors import SchemaIncompatible, SchemaNotFound
from common.event_rules import Violation, violation
from common.registry import AVRO, Registered
from common.registry.writers import Writers

Event = dict[str, Any]


@dataclass(frozen=True)
class FieldRead:
    """One field: bytes [start, end) of the value, and the value, or the error that ended the read.

    `type` is the writer's, if the field was found.
    """

    name: str
    start: int
    end: int
    value: Any
    error: str = ""
    type: Type | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one message.

    `reason` is the dead-letter reason by today's rules; None for an event that counts or is late.

    `problem` is the exact error, `header` describes the value's first bytes, and `writer` is the schema that was tried,
    with its id. `event` has the contract's fields (times in milliseconds, UTC) if all of them could be read. `spans`
    are the bytes of the writer's fields if each could be read; then `--set` can replace them.
    """

    reason: str | None
    problem: str
    header: str
    schema_id: int | None = None
    writer: Registered | None = None
    fields: list[FieldRead] = field(default_factory=list)
    event: Event | None = None
    violation: Violation | None = None
    spans: list[Span] = field(default_factory=list)


class Diagnoser:
    """Diagnoses messages of one topic for the contract `reader`; with `takes_json` its jobs also read JSON.

    `writers` are the versions of the topic's subject by id, and `find` finds other schemas that count by their ids.
    `known` returns the JSON of any other schema in the registry, or raises SchemaNotFound.
    """

    def __init__(
        self,
        subject: str,
        writers: Mapping[int, Registered],
        known: Callable[[int], str],
        reader: Contract,
        *,
        takes_json: bool,
        find: Callable[[int], Registered | None] = lambda _id: None,
    ) -> None:
        self.writers = writers
        self._find = find
        self._subject = subject
        self._known = known
        self._reader = reader
        self._takes_json = takes_json
        self._resolved: dict[int, Resolution | Refusal] = {}

    @classmethod
    def asking(cls, writers: Writers, reader: Contract, *, takes_json: bool) -> "Diagnoser":
        """Return a diagnoser with the present schemas of the registry. Raises ServiceUnavailable, AccessDenied."""
        try:
            known = writers.known()
        except SchemaNotFound:
            known = {}
        by_id = writers.registry.by_id
        return cls(writers.subject, known, by_id, reader, takes_json=takes_json, find=writers.found_or_none)

    def __call__(self, value: bytes | None, headers: Headers, arrival_ms: int) -> Diagnosis:
        """Diagnose a message that the broker gets at `arrival_ms`. Raises ServiceUnavailable, AccessDenied."""
        if not value:
            problem = "there is no value (a tombstone)" if value is None else "the value has no bytes"
            return Diagnosis(reasons.EMPTY, problem, "none")
        if self._takes_json and value[:1] == b"{":
            return self._judged(self._json(value), arrival_ms)
        found = self._framed(value)
        if found.writer is None:
            return self._named_by_header(found, value, headers)
        return self._judged(found, arrival_ms)

    def _framed(self, value: bytes) -> Diagnosis:
        if len(value) < wire.HEADER_BYTES:
            problem = f"the value has {len(value)} of the {wire.HEADER_BYTES} bytes of a header"
            return Diagnosis(reasons.SHORT, problem, "incomplete")
        magic, schema_id = value[0], int.from_bytes(value[1 : wire.HEADER_BYTES])
        if magic != wire.MAGIC_BYTE:
            problem = f"the value starts with {magic:#04x}, and the registry's wire format with 0x00"
            return Diagnosis(reasons.WRONG_MAGIC_BYTE, problem, f"magic byte {magic:#04x}, which must be 0x00")
        writer = self.writers.get(schema_id) or self._find(schema_id)
        if writer is None:
            header = f"magic byte 0x00, schema id {schema_id}"
            return Diagnosis(reasons.UNKNOWN_SCHEMA_ID, self._unknown(schema_id), header, schema_id)
        header = f"magic byte 0x00, schema id {schema_id}: {writer.subject or self._subject} version {writer.version}"
        if writer.kind != AVRO:
            problem = f"schema id {schema_id} is a {writer.kind} schema, not Avro"
            return Diagnosis(reasons.INCOMPATIBLE_SCHEMA, problem, header, schema_id, writer)
        return replace(self._by(writer, value, wire.HEADER_BYTES), header=header, schema_id=schema_id, writer=writer)

    def _by(self, writer: Registered, value: bytes, start: int) -> Diagnosis:
        if writer.id not in self._resolved:
            self._resolved[writer.id] = resolution(writer.text, self._reader)
        found = self._resolved[writer.id]
        if isinstance(found, Resolution):
            return read_avro(value, start, found)
        return Diagnosis(found.reason, found.problem, "", fields=by_itself(value, start, writer))

    def _unknown(self, schema_id: int) -> str:
        try:
            known = from_text(self._known(schema_id))
        except SchemaNotFound:
            return f"the registry does not know schema id {schema_id}"
        except SchemaIncompatible as other:
            return other.problem
        name = known.get("name", "no record") if isinstance(known, dict) else type_names(known)
        return f"the registry knows schema id {schema_id} ({name}), but not as a version of {self._subject}"

    def _named_by_header(self, found: Diagnosis, value: bytes, headers: Headers) -> Diagnosis:
        """Look for the schema of a value without its own header: in another header, or among ours."""
        fits = [each for each in self.writers.values() if not self._by(each, value, 0).reason]
        fit = (
            f"; the whole value can be read as plain Avro of {self._subject} version {fits[-1].version}" if fits else ""
        )
        ids = [content for name, content in headers if name == reasons.VALUE_SCHEMA_ID_HEADER]
        if not ids:
            return _of_another_format(found, value, headers, fit)
        problem = f"the schema id travels in the header {reasons.VALUE_SCHEMA_ID_HEADER} ({header_id(ids[-1])})"
        header = "none: the value starts with the event itself"
        return Diagnosis(reasons.SCHEMA_ID_IN_HEADER, f"{problem}, which the job does not read{fit}", header)

    def _json(self, value: bytes) -> Diagnosis:
        try:
            event = from_json(value, self._reader)
        except JsonProblem as problem:
            return Diagnosis(reasons.UNDECODABLE, str(problem), "none: JSON")
        return Diagnosis(None, "", "none: JSON", event=event)

    def _judged(self, found: Diagnosis, arrival_ms: int) -> Diagnosis:
        if found.reason or found.event is None:
            return found
        schema, event = self._reader.schema, found.event
        for each in schema["fields"]:
            if "default" not in each and event.get(each["name"]) is None:
                problem = f"there is no {each['name']}, which {self._reader.subject} requires"
                return replace(found, reason=reasons.UNDECODABLE, problem=problem)
        broken = violation(event, schema, self._reader.time_field, arrival_ms)
        if broken is None:
            return found
        problem = f"{broken.field} is {broken.value!r}, and must be {broken.wants}"
        return replace(found, reason=broken.reason, problem=problem, violation=broken)


def read_avro(value: bytes, start: int, resolved: Resolution) -> Diagnosis:
    """Read the event that begins at `start`, field by field."""
    try:
        found = resolved.read(value, start)
    except Unreadable as fault:
        fields = [_read(value, span) for span in fault.spans]
        if fault.reason == reasons.TRAILING_BYTES:
            return Diagnosis(fault.reason, fault.problem, "", fields=fields)
        bad = next(
            (place for place, each in enumerate(fields) if each.start == fault.at and each.name == fault.field), None
        )
        if bad is None:
            fields.append(FieldRead(fault.field or "the event", fault.at, len(value), None, fault.problem))
        else:
            fields[bad] = replace(fields[bad], error=fault.problem)
        problem = f"{fault.field or 'the event'}, from byte {fault.at} on, cannot be read: {fault.problem}"
        return Diagnosis(fault.reason, problem, "", fields=fields, spans=fault.spans if fault.whole else [])
    fields = [_read(value, span) for span in found.spans]
    return Diagnosis(None, "", "", fields=fields, event=found.event, spans=found.spans)


def by_itself(value: bytes, start: int, writer: Registered) -> list[FieldRead]:
    """Return the writer's own fields, as far as they can be read, although the contract cannot read the schema."""
    try:
        kind = parse(from_text(writer.text))
    except SchemaProblem:
        return []
    fields: list[FieldRead] = []
    at = start
    for name, part in [(each.name, each.type) for each in kind.fields] or [("the value", kind)]:
        read = _first(value, at, name, part)
        fields.append(read)
        if read.error:
            break
        at = read.end
    return fields


def type_names(schema: Any) -> str:  # noqa: ANN401 - Avro schemas are JSON
    """Describe a schema in a few words."""
    try:
        return str(parse(schema))
    except SchemaProblem as problem:
        return f"a schema that {problem}"


def _read(value: bytes, span: Span) -> FieldRead:
    """Read the field as its writer wrote it. An unreadable field outside the contract may still have a known end."""
    return replace(_first(value, span.start, span.name, span.type), end=span.end)


def _first(value: bytes, start: int, name: str, kind: Type) -> FieldRead:
    try:
        found, end = _plain(kind)(value, start)
    except Malformed as problem:
        return FieldRead(name, start, len(value), None, str(problem), kind)
    return FieldRead(name, start, end, found, "", kind)


@lru_cache(maxsize=256)
def _plain(kind: Type) -> PlainReader:
    return PlainReader(kind)


def _of_another_format(found: Diagnosis, value: bytes, headers: Headers, fit: str) -> Diagnosis:
    """Describe a value that fits none of our schemas. `fit` names a schema that reads it anyway."""
    if other := other_registry(value, headers):
        return Diagnosis(reasons.OTHER_WIRE_FORMAT, f"it was written for {other}{fit}", "none of the registry's own")
    guess = looks_like(value) if found.reason == reasons.WRONG_MAGIC_BYTE and not fit else None
    return replace(found, problem=found.problem + (f"; it looks like {guess}" if guess else fit))


def header_id(content: bytes | None) -> str:
    """Return the schema id in a header. Confluent writes 1 and a GUID of 16 bytes, or 0 and a number of 4 bytes."""
    match content:
        case bytes() if len(content) == 17 and content[0] == 1:
            return f"GUID {uuid.UUID(bytes=content[1:])}"
        case bytes() if len(content) == wire.HEADER_BYTES and content[0] == wire.MAGIC_BYTE:
            return f"id {int.from_bytes(content[1:])}"
    return f"{len(content or b'')} bytes that are no schema id"
