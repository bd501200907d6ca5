"""Decode message bytes by the schema that wrote them, or give the reason why that fails."""

import io
import time
from dataclasses import dataclass, replace
from typing import Any

import fastavro

from common.avro import wire
from common.avro.binary import Malformed, Truncated
from common.avro.plain import PlainReader
from common.avro.schema_types import SchemaProblem, from_text, parse, within
from common.avro.wire_formats import Headers, looks_like, other_registry
from common.errors import AdstreamError
from common.registry import RegistryClient

FAILURE_SECONDS = 5.0
# No amount has more digits than this. A schema may state a precision smaller than its writer's numbers.
_DIGITS = 4_000


@dataclass(frozen=True)
class Decoded:
    """A good message: its value, and the id of the schema that wrote it."""

    schema_id: int
    value: Any


@dataclass(frozen=True)
class Broken:
    """A message that cannot be decoded, and the reason; `schema_id` if the header could be read."""

    reason: str
    schema_id: int | None = None


class Decoder:
    """Decodes with the writer's schema, asked of the registry by id and cached.

    An unknown id, or a registry that does not answer, is a reason and no error: the next message may be fine. The
    decoder asks again after 5 seconds at the earliest. A thousand such messages therefore do not wait a thousand times.
    """

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry
        self._schemas: dict[int, _Writer] = {}
        self._failures: dict[int, tuple[float, str]] = {}

    def __call__(self, message: bytes | None, headers: Headers = ()) -> Decoded | Broken:
        if message is None:
            return Broken("no value (a tombstone)")
        if not message:
            return Broken("empty")
        if len(message) < wire.HEADER_BYTES:
            return _unframed(message, headers, f"shorter than the {wire.HEADER_BYTES}-byte header")
        magic, schema_id = wire.HEADER.unpack_from(message)
        if magic != wire.MAGIC_BYTE:
            guess = looks_like(message)
            said = f"it looks like {guess}" if guess else "not in the registry's wire format"
            return _unframed(message, headers, f"wrong magic byte {message[0]:#04x}: {said}")
        try:
            writer = self._writer(schema_id)
        except AdstreamError as error:
            return replace(_unframed(message, headers, error.problem), schema_id=schema_id)
        return self._read(message, schema_id, writer)

    def _read(self, message: bytes, schema_id: int, writer: "_Writer") -> Decoded | Broken:
        try:
            return Decoded(schema_id, writer.proven(message))
        except _Unproven:
            pass
        try:
            value, end = writer.plain(message, wire.HEADER_BYTES)
        except Truncated:
            return Broken("truncated: the payload ends early", schema_id)
        except Malformed as problem:
            return Broken(f"not readable by its schema ({problem})", schema_id)
        if end < len(message):
            return Broken(f"{len(message) - end} bytes of garbage after the value", schema_id)
        try:
            return Decoded(schema_id, writer.annotated(message, value))
        except UnicodeDecodeError:
            return Broken("a string is not UTF-8", schema_id)

    def _writer(self, schema_id: int) -> "_Writer":
        if schema_id not in self._schemas:
            failed_at, problem = self._failures.get(schema_id, (0.0, ""))
            if problem and time.monotonic() - failed_at < FAILURE_SECONDS:
                raise AdstreamError(problem)
            try:
                self._schemas[schema_id] = _Writer(from_text(self._registry.by_id(schema_id)))
            except SchemaProblem as error:
                raise AdstreamError(f"schema {schema_id} is not Avro: it {error}") from None
            except AdstreamError as error:
                self._failures[schema_id] = time.monotonic(), error.problem
                raise
        return self._schemas[schema_id]


class _Unproven(Exception):
    """It is not certain that fastavro's values are exactly the message's bytes."""


class _Writer:
    """Reads values of one schema. Raises SchemaProblem for one that cannot be understood."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 - Avro schemas are JSON
        kind = parse(schema)
        self.plain = PlainReader(kind)
        # fastavro follows nested records as deep as a message says, until the process dies.
        self._recursive = any(each.recursive for each in within(kind))
        try:
            self._annotated: Any = fastavro.parse_schema(_exact(schema))
        except Exception:  # noqa: BLE001 - it is stricter than Avro in places; values are shown as they are stored then
            self._annotated = None

    def proven(self, message: bytes) -> Any:  # noqa: ANN401 - any Avro value
        """Return fastavro's value, which is fast, if it encodes to the same bytes. Raises _Unproven if not."""
        if self._annotated is None or self._recursive:
            raise _Unproven
        payload, again = message[wire.HEADER_BYTES :], io.BytesIO()
        try:
            value = fastavro.schemaless_reader(io.BytesIO(payload), self._annotated, None)
            fastavro.schemaless_writer(again, self._annotated, value)
        except Exception:  # noqa: BLE001 - whatever it raises on random bytes, it proves nothing
            raise _Unproven from None
        if again.getvalue() != payload:
            raise _Unproven
        return value

    def annotated(self, message: bytes, value: Any) -> Any:  # noqa: ANN401 - any Avro value
        """Return `value` with times and decimals as Python's types. Raises UnicodeDecodeError.

        A timestamp past the year 9999 stays the number that is stored.
        """
        if self._annotated is None:
            return value
        payload = io.BytesIO(message)
        payload.seek(wire.HEADER_BYTES)
        try:
            return fastavro.schemaless_reader(payload, self._annotated, None)
        except UnicodeDecodeError:
            raise
        except Exception:  # noqa: BLE001 - whatever an annotation makes of a value, the value is there
            return value


def _unframed(message: bytes, headers: Headers, reason: str) -> Broken:
    """Return Broken with the reason.

    If bytes or headers show that the message was written for another registry, that is the reason.
    """
    other = other_registry(message, headers)
    return Broken(f"written for {other}" if other else reason)


def _exact(schema: Any) -> Any:  # noqa: ANN401 - Avro schemas are JSON: str, list or dict
    """Return the schema with which fastavro changes no value.

    With the original schema it rewrites uuids, and rounds decimals to their precision.
    """
    if isinstance(schema, list):
        return [_exact(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _exact(part) for name, part in schema.items()}
    if kept.get("logicalType") == "uuid":
        del kept["logicalType"]
    elif kept.get("logicalType") == "decimal" and kept.get("type") == "bytes":
        kept["precision"] = _DIGITS
    return kept
