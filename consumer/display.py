"""One message as one line: for people, or as strict JSON for pipes."""

import json
import math
from datetime import date, datetime, time
from typing import Any

from confluent_kafka import Message

from common.text.moments import from_millis
from common.text.shown import shown
from consumer.decoding import Broken, Decoded

SHOWN_BYTES = 64


def as_json(message: Message, outcome: Decoded | Broken) -> str:
    """Return strict JSON: NaN and infinities as strings, bytes as `{"hex": ...}`, times as ISO 8601 in UTC.

    A record's time outside of the years 1 to 9999 stays a number of milliseconds since 1970, as text. Instead of
    `value` a broken message has `broken`, the reason, and `bytes`, the whole message in hex.
    """
    line: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": _broker_time(message),
        "key": text_or_hex(message.key()),
        "schema_id": outcome.schema_id,
    }
    if isinstance(outcome, Decoded):
        line["value"] = strict(outcome.value)
    else:
        value = message.value()
        line |= {"broken": outcome.reason, "bytes": None if value is None else value.hex()}
    if message.headers():
        line["headers"] = {name: text_or_hex(value) for name, value in message.headers() or []}
    return json.dumps(line, allow_nan=False)


def as_text(message: Message, outcome: Decoded | Broken, shown_bytes: int = SHOWN_BYTES) -> str:
    """Return `topic [partition] @offset time key=… schema=… {value}`, or the reason and the first bytes in hex."""
    parts = [f"{message.topic()} [{message.partition()}] @{message.offset()}", _broker_time(message) or "no time"]
    parts.append(f"key={printable(text_or_hex(message.key()))}")
    if outcome.schema_id is not None:
        parts.append(f"schema={outcome.schema_id}")
    if isinstance(outcome, Decoded):
        parts.append(printable(strict(outcome.value)))
    else:
        parts.append(f"BROKEN {outcome.reason}; {_shortened(message.value(), shown_bytes)}")
    if message.headers():
        parts.append(f"headers={printable({name: text_or_hex(value) for name, value in message.headers() or []})}")
    return shown(" ".join(parts))


def strict(value: Any) -> Any:  # noqa: ANN401
    """Return `value` with a strict JSON form for everything that JSON cannot write."""
    match value:
        case float():
            return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")
        case bytes():
            return {"hex": value.hex()}
        case datetime():
            digits = "microseconds" if value.microsecond % 1000 else "milliseconds"
            return value.isoformat(timespec=digits).replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case dict():
            return {str(name): strict(part) for name, part in value.items()}
        case list() | tuple():
            return [strict(part) for part in value]
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)  # decimals: the text is exact


def _broker_time(message: Message) -> str | None:
    kind, millis = message.timestamp()
    if not kind:
        return None
    moment = from_millis(millis)
    return str(millis if moment is None else strict(moment))


def text_or_hex(value: bytes | None) -> Any:  # noqa: ANN401
    """Return text if the bytes are UTF-8, else `{"hex": ...}`."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}


def printable(value: Any) -> str:  # noqa: ANN401
    """Return readable, harmless text: the content of a message must not control the terminal."""
    return shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False))


def _shortened(value: bytes | None, most: int) -> str:
    if not value:
        return "0 bytes"
    more = " …" if len(value) > most else ""
    return f"{len(value)} bytes: {value[:most].hex(' ')}{more}"
