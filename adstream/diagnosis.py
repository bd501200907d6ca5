"""What is wrong with one message, found by reading it again: the header, then field by field, then the rules.

It answers as the job would today: with the schemas that the topic's subject has now. Decoding is fastavro's.
"""

import io
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import fastavro

from adstream import reasons, wire
from adstream.contracts import Contract
from adstream.dead_letters import Headers
from adstream.errors import SchemaNotFound
from adstream.event_rules import Violation, violation
from adstream.json_text import JsonProblem, from_json
from adstream.registry import Registered, RegistryClient
from consumer.decoding import plain

Event = dict[str, Any]
_MILLIS_LIMIT = 2**63 // 1_000


@dataclass(frozen=True)
class FieldRead:
    """One field as it was read: bytes [start, end) of the value, and the value, or the error that ended it."""

    name: str
    start: int
    end: int
    value: Any
    error: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """`reason` is what the job would say today, None for an event that it would take (or call late).

    `problem` is the exact error, `header` what the value's first bytes say, `writer` the schema that was tried, with
    its id, and `event` the plain values (times in milliseconds, UTC) where all of them could be read.
    """

    reason: str | None
    problem: str
    header: str
    schema_id: int | None = None
    writer: Registered | None = None
    fields: list[FieldRead] = field(default_factory=list)
    event: Event | None = None
    violation: Violation | None = None


class Diagnoser:
    """Diagnoses messages of one topic that is read by `reader`; `takes_json` where its jobs read JSON besides Avro.

    `writers` are the versions of the topic's subject by id, and `known` gives the schema's JSON of any other id that
    the registry has, or raises SchemaNotFound.
    """

    def __init__(
        self,
        subject: str,
        writers: Mapping[int, Registered],
        known: Callable[[int], str],
        reader: Contract,
        *,
        takes_json: bool,
    ) -> None:
        self.writers = writers
        self._subject = subject
        self._known = known
        self._reader = reader
        self._takes_json = takes_json

    @classmethod
    def asking(cls, registry: RegistryClient, topic: str, reader: Contract, *, takes_json: bool) -> "Diagnoser":
        """With what the registry has now. Raises ServiceUnavailable, AccessDenied."""
        subject = f"{topic}-value"
        try:
            writers = {found.id: found for found in registry.versions(subject)}
        except SchemaNotFound:
            writers = {}
        return cls(subject, writers, registry.by_id, reader, takes_json=takes_json)

    def __call__(self, value: bytes | None, headers: Headers, arrival_ms: int) -> Diagnosis:
        """Read a message that the broker takes at `arrival_ms`. Raises ServiceUnavailable, AccessDenied."""
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
        writer = self.writers.get(schema_id)
        if writer is None:
            header = f"magic byte 0x00, schema id {schema_id}"
            return Diagnosis(reasons.UNKNOWN_SCHEMA_ID, self._unknown(schema_id), header, schema_id)
        header = f"magic byte 0x00, schema id {schema_id}: {self._subject} version {writer.version}"
        return replace(read_avro(value, json.loads(writer.text)), header=header, schema_id=schema_id, writer=writer)

    def _unknown(self, schema_id: int) -> str:
        try:
            known = json.loads(self._known(schema_id))
        except SchemaNotFound:
            return f"the registry does not know schema id {schema_id}"
        name = known.get("name", known) if isinstance(known, dict) else known
        return f"the registry knows schema id {schema_id} ({name}), but not as a version of {self._subject}"

    def _named_by_header(self, found: Diagnosis, value: bytes, headers: Headers) -> Diagnosis:
        """A value without a header of its own: does another header name its schema, or does one of ours fit?"""
        fits = [each for each in self.writers.values() if not _bare(value, each).reason]
        fit = (
            f"; the whole value can be read as plain Avro of {self._subject} version {fits[-1].version}" if fits else ""
        )
        ids = [content for name, content in headers if name == reasons.VALUE_SCHEMA_ID_HEADER]
        if not ids:
            return replace(found, problem=found.problem + fit)
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


def read_avro(value: bytes, writer: Event) -> Diagnosis:
    """Read a value with its 5-byte header, field by field, with the schema that wrote it, a record."""
    schema, fields, start = plain(writer), [], wire.HEADER_BYTES
    event: Event = {}
    for count, name in enumerate((each["name"] for each in schema["fields"]), start=1):
        payload = io.BytesIO(value)
        payload.seek(wire.HEADER_BYTES)
        first = fastavro.parse_schema({**schema, "fields": schema["fields"][:count]}, _write_hint=False)
        try:
            # Bytes that are no UTF-8 are kept, as the job keeps them: the string breaks a rule, and the rest is read.
            event = fastavro.schemaless_reader(payload, first, None, handle_unicode_errors="surrogateescape")  # type: ignore[assignment]
            if isinstance(schema["fields"][count - 1]["type"], list) and value[start] & 1:
                raise IndexError("a negative branch of the union")  # fastavro would count it from the end
            _refuse_out_of_range(name, event[name], writer["fields"][count - 1]["type"])
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises on random bytes, it cannot be read
            said = _error(error)
            fields.append(FieldRead(name, start, payload.tell(), None, said))
            return Diagnosis(
                reasons.UNDECODABLE, f"{name}, from byte {start} on, cannot be read: {said}", "", fields=fields
            )
        fields.append(FieldRead(name, start, payload.tell(), event[name]))
        start = payload.tell()
    if start < len(value):
        left = f"{len(value) - start} bytes follow the event, which ends at byte {start}"
        return Diagnosis(reasons.TRAILING_BYTES, left, "", fields=fields)
    return _canonical(Diagnosis(None, "", "", fields=fields, event=event), schema, len(value))


def write_avro(schema_id: int, writer: Event, event: Event) -> bytes:
    """The event (plain values) as a message. Raises what fastavro raises for a value that does not fit."""
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(plain(writer)), event)
    return wire.frame(schema_id, payload.getvalue())


def header_id(content: bytes | None) -> str:
    """The schema id in a header: Confluent writes 1 and a GUID of 16 bytes, or 0 and a number of 4."""
    match content:
        case bytes() if len(content) == 17 and content[0] == 1:
            return f"GUID {uuid.UUID(bytes=content[1:])}"
        case bytes() if len(content) == wire.HEADER_BYTES and content[0] == wire.MAGIC_BYTE:
            return f"id {int.from_bytes(content[1:])}"
    return f"{len(content or b'')} bytes that are no schema id"


def _bare(value: bytes, writer: Registered) -> Diagnosis:
    return read_avro(wire.header(writer.id) + value, json.loads(writer.text))


def _canonical(found: Diagnosis, schema: Event, size: int) -> Diagnosis:
    """The same, unless its values encode to another length: a number in more bytes than it takes, or out of range."""
    event = {name: _as_long(value) for name, value in (found.event or {}).items()}
    try:
        again = len(write_avro(0, schema, event))
    except (ValueError, TypeError, OverflowError) as error:
        return replace(found, reason=reasons.UNDECODABLE, problem=_error(error), event=None)
    if again != size:
        problem = f"the event takes {again} bytes, and the value has {size}"
        return replace(found, reason=reasons.TRAILING_BYTES, problem=problem, event=None)
    return found


def _as_long(value: Any) -> Any:  # noqa: ANN401 - any Avro value
    """A string that can be written, with a byte for each one that is no UTF-8."""
    return re.sub("[\udc80-\udcff]", "?", value) if isinstance(value, str) else value


def _refuse_out_of_range(name: str, value: Any, avro_type: Any) -> None:  # noqa: ANN401 - any Avro value and type
    if isinstance(avro_type, Mapping) and avro_type.get("logicalType") == "timestamp-millis":
        if abs(value) >= _MILLIS_LIMIT:
            raise OverflowError(f"{name} is {value} ms, which is beyond the calendar")
    elif avro_type == "int" and not -(2**31) <= value < 2**31:
        raise OverflowError(f"{name} is {value}, which is no 32-bit integer")


def _error(error: Exception) -> str:
    """The decoder's own words, with its type: fastavro's are short, and sometimes empty."""
    plainly = {EOFError: "the bytes end before it does", IndexError: "there is no such branch of the union"}
    said = str(error) or plainly.get(type(error), "no reason given")
    return f"{type(error).__name__}: {' '.join(said.split())}"
