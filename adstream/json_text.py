"""One JSON message by an Avro contract, in plain Python: what streaming.json_events does in Spark."""

import json
import re
from typing import Any

from adstream.contracts import Contract
from adstream.moments import iso_utc

_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_PYTHON: dict[str, tuple[type, ...]] = {
    "int": (int,), "long": (int,), "float": (int, float), "double": (int, float), "boolean": (bool,),
}  # fmt: skip
_BITS = {"int": 31, "long": 63}


class JsonProblem(ValueError):
    """Why a JSON message cannot be read."""


def from_json(value: bytes, contract: Contract) -> dict[str, Any]:
    """The contract's fields as plain values, times in milliseconds (UTC). Raises JsonProblem."""
    try:
        read = json.loads(value)
    except ValueError as error:
        raise JsonProblem(f"not JSON: {error}") from None
    return {field["name"]: _value(field, read.get(field["name"])) for field in contract.schema["fields"]}


def _value(field: dict[str, Any], given: Any) -> Any:  # noqa: ANN401 - any JSON value
    name, kind = field["name"], field["type"]
    if given is None:
        return None
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if isinstance(kind, dict):
        return _millis(name, given)
    if kind == "string":
        return given if isinstance(given, str) else json.dumps(given)
    fits = isinstance(given, _PYTHON[kind]) and (kind == "boolean") == isinstance(given, bool)
    if not fits or (kind in _BITS and not -(1 << _BITS[kind]) <= given < 1 << _BITS[kind]):
        raise JsonProblem(f"{name} is {given!r}, which is no {kind}")
    return given


def _millis(name: str, given: Any) -> int:  # noqa: ANN401
    text = str(given)
    if _SECONDS.fullmatch(text):
        return int(text) * 1_000
    try:
        return int(iso_utc(text).timestamp() * 1_000)
    except ValueError:
        raise JsonProblem(f"{name} is {given!r}, which is no time") from None
