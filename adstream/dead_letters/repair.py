"""`--set field=value`: change some fields of a message, by its writer schema.

The bytes of the changed fields are replaced. All other bytes stay exactly as they are.
"""

import json
import re
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from adstream.dead_letters.diagnosis import Diagnosis
from common.avro.binary import write_long
from common.avro.resolution import Span
from common.avro.schema_types import Type, parse
from common.avro.single_values import TO_MILLIS
from common.contracts import Contract
from common.errors import ConfigError, ReplayRefused
from common.text.moments import iso_utc, to_millis
from common.text.nearest import did_you_mean
from common.text.numbers import decimal_number, whole_number

T = TypeVar("T")
_FROM_ITS_PRODUCER = "have the producer send the event again"
_BITS = {"int": 31, "long": 63}
# From 2001 on. A number with fewer digits is in seconds, or a day like 20250221.
_EPOCH_MILLIS = r"[1-9][0-9]{12}"


def parse_changes(given: Iterable[str]) -> dict[str, str]:
    """Parse changes like `clicks=0`, by field. Raises ConfigError."""
    changes = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {text} changes nothing", "write --set field=value, like --set clicks=0")
        changes[name.strip()] = value
    return changes


def repaired(value: bytes, found: Diagnosis, changes: Mapping[str, str], reader: Contract, now: datetime) -> bytes:
    """Return the message with its changes.

    Raises ReplayRefused if its fields cannot be read, ConfigError for a change.
    """
    if found.spans:
        return _spliced(value, found.spans, changes, reader, now)
    if found.header != "none: JSON":
        raise ReplayRefused(f"--set needs an event that can be read: {found.problem}", _FROM_ITS_PRODUCER)
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        raise ReplayRefused(f"--set needs an event that can be read: {found.problem}", _FROM_ITS_PRODUCER) from None
    kinds = {field.name: field.type for field in parse(reader.schema).fields}
    for name, text in changes.items():
        is_time = name == reader.time_field
        _, typed = _typed(name, text, _known(name, kinds), now, is_time=is_time)
        # In JSON a time is text, or seconds.
        event[name] = datetime.fromtimestamp(typed / 1_000, UTC).isoformat() if is_time else typed
    return json.dumps(event).encode()


def _spliced(value: bytes, spans: list[Span], changes: Mapping[str, str], reader: Contract, now: datetime) -> bytes:
    """Replace fields named as the writer names them, or as the contract does."""
    by_name = {span.target: span for span in spans if span.target is not None} | {span.name: span for span in spans}
    new = {}
    for name, text in changes.items():
        span = _known(name, by_name)
        is_time = span.target == reader.time_field or span.type.logical.startswith("timestamp-")
        try:
            new[span.start] = span.end, _encoded(name, text, span.type, now, is_time=is_time)
        except OverflowError as error:
            raise ConfigError(f"--set {name}={text} cannot be written: {error}", "correct the value") from None
    pieces, at = [], 0
    for start in sorted(new):
        end, encoded = new[start]
        pieces += [value[at:start], encoded]
        at = end
    return b"".join([*pieces, value[at:]])


def _known(name: str, those: Mapping[str, T]) -> T:
    if name not in those:
        remedy = did_you_mean(name, those, f"its schema has {', '.join(those)}")
        raise ConfigError(f"the event has no field {name}", remedy)
    return those[name]


def _encoded(name: str, text: str, kind: Type, now: datetime, *, is_time: bool) -> bytes:
    branch, value = _typed(name, text, kind, now, is_time=is_time)
    head = write_long(kind.parts.index(branch)) if kind.kind == "union" else b""
    match branch.kind:
        case "null":
            return head
        case "boolean":
            return head + bytes([value])
        case "float" | "double":
            return head + struct.pack("<f" if branch.kind == "float" else "<d", value)
        case "string" | "bytes":
            encoded: bytes = value.encode(errors="surrogateescape")
            return head + write_long(len(encoded)) + encoded
        case "enum":
            return head + write_long(branch.symbols.index(value))
    return head + write_long(value)


def _typed(name: str, text: str, kind: Type, now: datetime, *, is_time: bool) -> tuple[Type, Any]:
    """Return the type that accepts the text (of a union, the branch), and the value of the text.

    `null` is null if the type allows it; a time is ISO 8601, `now` or 13 digits.
    """
    if kind.kind != "union":
        return kind, _value(name, text, kind, now, is_time=is_time)
    nothing = next((branch for branch in kind.parts if branch.kind == "null"), None)
    if text == "null" and nothing is not None:
        return nothing, None
    problem = ConfigError(f"{name} is always null", "leave it as it is")
    for branch in (each for each in kind.parts if each.kind != "null"):
        try:
            return branch, _value(name, text, branch, now, is_time=is_time)
        except ConfigError as error:
            problem = error
    raise problem


def _value(name: str, text: str, kind: Type, now: datetime, *, is_time: bool) -> Any:  # noqa: ANN401
    try:
        if kind.kind in _BITS:
            number = _millis(text, now) * TO_MILLIS.get(kind.logical, 1) if is_time else whole_number(text)
            if not -(2 ** _BITS[kind.kind]) <= number < 2 ** _BITS[kind.kind]:
                raise ValueError
            return number
        if kind.kind in ("float", "double"):
            return decimal_number(text)
        if kind.kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind.kind == "enum" and text not in kind.symbols:
            raise ValueError
    except (ValueError, KeyError):
        raise ConfigError(f"--set {name}={text} is no {kind.logical or kind.kind}", "correct the value") from None
    if kind.kind not in ("string", "bytes", "enum") or (kind.kind == "bytes" and kind.logical):
        raise ConfigError(f"{name} is {kind}, which --set cannot write", "send the event again from its source")
    return text


def _millis(text: str, now: datetime) -> int:
    if text == "now":
        return to_millis(now)
    if re.fullmatch(_EPOCH_MILLIS, text):
        return int(text)
    return to_millis(iso_utc(text))
