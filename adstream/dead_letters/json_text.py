"""Read one JSON message by an Avro contract, in plain Python, as streaming.events.json_events does in Spark."""

import json
import re
from typing import Any

from common.contracts import Contract
from common.text.moments import EPOCH_SECONDS, iso_utc, to_millis

_PYTHON: dict[str, tuple[type, ...]] = {
    "int": (int,), "long": (int,), "float": (int, float), "double": (int, float), "boolean": (bool,),
}  # fmt: skip
_BITS = {"int": 31, "long": 63}
# Texts that Spark reads as a number also in quotes. None of them is finite, so the job refuses the event.
_NOT_FINITE = {"NaN", "Infinity", "+Infinity", "-Infinity", "INF", "+INF", "-INF"}
# Jackson's limit, which is Spark's.
_MOST_DIGITS = 1_000


class JsonProblem(ValueError):
    """Why a JSON message cannot be read."""


def from_json(value: bytes, contract: Contract) -> dict[str, Any]:
    """Return the contract's fields as plain values, times in milliseconds (UTC). Raises JsonProblem."""
    try:
        read = json.loads(value.decode(), parse_int=_limited_int)
        # An escape may hold half a character, which UTF-8 cannot encode.
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise JsonProblem(f"not UTF-8: {error}") from None
    except ValueError as error:
        raise JsonProblem(f"not JSON: {error}") from None
    except RecursionError:
        raise JsonProblem("not JSON: too deep") from None
    if not isinstance(read, dict):
        raise JsonProblem("not an object")
    return {field["name"]: _value(field, read.get(field["name"])) for field in contract.schema["fields"]}


def _limited_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _value(field: dict[str, Any], given: Any) -> Any:  # noqa: ANN401 - any JSON value
    name, kind = field["name"], field["type"]
    if given is None:
        return None
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if isinstance(kind, dict):
        return _millis(name, given)
    if kind == "string":
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    if kind in ("float", "double") and isinstance(given, str) and given in _NOT_FINITE:
        return float(given)
    fits = isinstance(given, _PYTHON[kind]) and (kind == "boolean") == isinstance(given, bool)
    if not fits or (kind in _BITS and not -(1 << _BITS[kind]) <= given < 1 << _BITS[kind]):
        raise JsonProblem(f"{name} is {given!r}, which is no {kind}")
    return _double(given) if kind in ("float", "double") else given


def _double(given: float) -> float:
    try:
        return float(given)
    except OverflowError:
        return float("inf") if given > 0 else float("-inf")


def _millis(name: str, given: Any) -> int:  # noqa: ANN401
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if isinstance(text, str):
        if re.fullmatch(EPOCH_SECONDS, text):
            return int(text) * 1_000
        try:
            return to_millis(iso_utc(text))
        except ValueError:
            pass
    raise JsonProblem(f"{name} is {given!r}, which is no time")
