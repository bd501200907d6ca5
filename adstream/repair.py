"""`--set field=value`: a message with some fields changed, written with the schema that it was written with."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from adstream.contracts import Contract
from adstream.diagnosis import Diagnosis, write_avro
from adstream.errors import ConfigError, ReplayRefused
from adstream.moments import iso_utc, to_millis
from adstream.nearest import did_you_mean
from adstream.numbers import decimal_number, whole_number

_FROM_ITS_PRODUCER = "have the producer send the event again"
_NUMBERS: dict[str, Callable[[str], float]] = {
    "int": whole_number, "long": whole_number, "float": decimal_number, "double": decimal_number,
}  # fmt: skip
# From 2001 on; fewer digits are seconds, or a day like 20250221.
_EPOCH_MILLIS = r"[1-9][0-9]{12}"


def parse_changes(given: Iterable[str]) -> dict[str, str]:
    """`clicks=0` and the like, by field. Raises ConfigError."""
    changes = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set {text} changes nothing", "write --set field=value, like --set clicks=0")
        changes[name.strip()] = value
    return changes


def repaired(value: bytes, found: Diagnosis, changes: Mapping[str, str], reader: Contract, now: datetime) -> bytes:
    """The message with its changes. Raises ReplayRefused where its fields cannot be read, ConfigError for a change."""
    if found.writer is not None and found.event is not None:
        writer = json.loads(found.writer.text)
        event = {**found.event, **_typed(writer["fields"], changes, now)}
        try:
            return write_avro(found.writer.id, writer, event)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"--set gives an event that cannot be written: {error}", "correct the value") from None
    if found.header != "none: JSON":
        raise ReplayRefused(f"--set needs an event that can be read: {found.problem}", _FROM_ITS_PRODUCER)
    try:
        event = json.loads(value)
    except ValueError:
        raise ReplayRefused(f"--set needs an event that can be read: {found.problem}", _FROM_ITS_PRODUCER) from None
    for name, typed in _typed(reader.schema["fields"], changes, now).items():
        # In JSON a time is text, or seconds.
        is_time = name == reader.time_field
        event[name] = datetime.fromtimestamp(typed / 1_000, UTC).isoformat() if is_time else typed
    return json.dumps(event).encode()


def _typed(fields: list[dict[str, Any]], changes: Mapping[str, str], now: datetime) -> dict[str, Any]:
    kinds = {field["name"]: field["type"] for field in fields}
    for name in changes:
        if name not in kinds:
            remedy = did_you_mean(name, kinds, f"its schema has {', '.join(kinds)}")
            raise ConfigError(f"the event has no field {name}", remedy)
    return {name: typed(name, text, kinds[name], now) for name, text in changes.items()}


def typed(name: str, text: str, kind: Any, now: datetime) -> Any:  # noqa: ANN401 - Avro types are JSON, values any
    """The text as a plain value of an Avro type: `null` where it may be; a time is ISO 8601, `now` or 13 digits."""
    if isinstance(kind, list):
        if text == "null" and "null" in kind:
            return None
        kind = next(each for each in kind if each != "null")
    try:
        if isinstance(kind, dict) and kind.get("logicalType") == "timestamp-millis":
            return _millis(text, now)
        if kind in _NUMBERS:
            return _within(_NUMBERS[kind](text), kind)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise ConfigError(f"--set {name}={text} is no {_name(kind)}", "correct the value") from None
    if kind != "string":
        raise ConfigError(
            f"{name} is a {_name(kind)}, which --set cannot write", "send the event again from its source"
        )
    return text


def _within(number: float, kind: str) -> float:
    """fastavro writes any number as an int."""
    bits = {"int": 31, "long": 63}.get(kind)
    if bits and not -(2**bits) <= number < 2**bits:
        raise ValueError
    return number


def _millis(text: str, now: datetime) -> int:
    if text == "now":
        return to_millis(now)
    if re.fullmatch(_EPOCH_MILLIS, text):
        return int(text)
    return to_millis(iso_utc(text))


def _name(kind: Any) -> str:  # noqa: ANN401
    return str(kind.get("logicalType") or kind.get("type")) if isinstance(kind, dict) else str(kind)
