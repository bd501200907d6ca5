"""Message bytes into values, by the schema they were written with; or the reason why that cannot be done."""

import io
import json
import time
from dataclasses import dataclass
from typing import Any

import fastavro

from adstream import wire
from adstream.errors import AdstreamError
from adstream.registry import RegistryClient

FAILURE_SECONDS = 5.0
_UNREADABLE = (EOFError, ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError, RecursionError)


@dataclass(frozen=True)
class Decoded:
    """A good message: its value, and the id of the schema that wrote it."""

    schema_id: int
    value: Any


@dataclass(frozen=True)
class Broken:
    """A message that cannot be decoded, and why; `schema_id` where the header could be read."""

    reason: str
    schema_id: int | None = None


class Decoder:
    """Decodes with the writer's schema, asked of the registry by id and remembered.

    A registry that does not answer, or does not know an id, is a reason and no error: the next message may be fine. It
    is asked again after 5 seconds at the earliest, so that a thousand such messages do not wait a thousand times.
    """

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry
        self._schemas: dict[int, tuple[Any, Any]] = {}
        self._failures: dict[int, tuple[float, str]] = {}

    def __call__(self, message: bytes | None) -> Decoded | Broken:
        if message is None:
            return Broken("no value (a tombstone)")
        if not message:
            return Broken("empty")
        if len(message) < wire.HEADER_BYTES:
            return Broken(f"shorter than the {wire.HEADER_BYTES}-byte header")
        magic, schema_id = wire.HEADER.unpack_from(message)
        if magic != wire.MAGIC_BYTE:
            return Broken(f"wrong magic byte {message[0]:#04x}: not written with a schema registry")
        try:
            schemas = self._writer(schema_id)
        except AdstreamError as error:
            return Broken(error.problem, schema_id)
        return self._read(message, schema_id, *schemas)

    def _read(self, message: bytes, schema_id: int, schema: Any, plain: Any) -> Decoded | Broken:  # noqa: ANN401
        for candidate in (schema, plain):  # a timestamp past the year 9999 is a number, and still readable
            payload = io.BytesIO(message)
            payload.seek(wire.HEADER_BYTES)
            try:
                value = fastavro.schemaless_reader(payload, candidate, None)
            except UnicodeDecodeError:
                return Broken("a string is not UTF-8", schema_id)
            except OverflowError:
                continue
            except _UNREADABLE as error:
                if isinstance(error, EOFError) or payload.tell() == len(message):
                    return Broken("truncated: the payload ends early", schema_id)
                return Broken(f"not readable by its schema ({error})", schema_id)
            left = len(message) - payload.tell()
            return Broken(f"{left} bytes of garbage after the value", schema_id) if left else Decoded(schema_id, value)
        return Broken("not readable by its schema (a number out of range)", schema_id)

    def _writer(self, schema_id: int) -> tuple[Any, Any]:
        if schema_id not in self._schemas:
            failed_at, problem = self._failures.get(schema_id, (0.0, ""))
            if problem and time.monotonic() - failed_at < FAILURE_SECONDS:
                raise AdstreamError(problem)
            try:
                schema = json.loads(self._registry.by_id(schema_id))
                self._schemas[schema_id] = fastavro.parse_schema(schema), fastavro.parse_schema(plain(schema))
            except AdstreamError as error:
                self._failures[schema_id] = time.monotonic(), error.problem
                raise
            except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException) as error:
                raise AdstreamError(f"schema {schema_id} is not Avro ({error})") from None
        return self._schemas[schema_id]


def plain(schema: Any) -> Any:  # noqa: ANN401 - Avro schemas are JSON: str, list or dict
    """The schema without logical types: every value as it is stored."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema
