"""Schema texts: compare two of them, and write one text for a schema that uses types of other subjects.

Registries compare texts. Two texts of one schema, written by two programs, can then be two versions with two ids.
"""

import json
from collections.abc import Iterable
from typing import Any

_NAMED = ("record", "error", "enum", "fixed")
_PARTS = ("type", "items", "values", "fields")
_PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


def same_schema(one: str, other: str, *, documentation: bool = True) -> bool:
    """Return whether two texts differ only in white space and the order of keys.

    Without `documentation` they may also differ in documentation.
    """
    return one == other or normalized(one, documentation) == normalized(other, documentation)


def normalized(text: str, documentation: bool = True) -> str:
    """Return the text with sorted keys and `documentation`, without white space; text other than JSON unchanged."""
    try:
        schema = json.loads(text)
        return json.dumps(schema if documentation else _without_docs(schema), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def self_contained(text: str, definitions: Iterable[str]) -> str:
    """Return the schema with each type of `definitions` (the referenced texts) written out at its first use.

    An unreadable text is returned unchanged.
    """
    try:
        named: dict[str, dict[str, Any]] = {}
        for each in definitions:
            _collect(json.loads(each), "", named)
        return json.dumps(_written_out(json.loads(text), "", named, set()), separators=(",", ":"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return text


def _without_docs(node: Any) -> Any:  # noqa: ANN401 - Avro schemas are JSON: str, list or dict
    """Remove only a schema's own documentation.

    A default value or an attribute may have a key of that name, too.
    """
    if isinstance(node, list):
        return [_without_docs(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_docs(part) if key in _PARTS else part for key, part in node.items() if key != "doc"}


def _collect(node: Any, namespace: str, named: dict[str, dict[str, Any]]) -> None:  # noqa: ANN401
    """Add every named type within `node` to `named`, by its full name, with its namespace spelt out."""
    if isinstance(node, list):
        for each in node:
            _collect(each, namespace, named)
    elif isinstance(node, dict):
        if node.get("type") in _NAMED:
            namespace, _, name = _full(node["name"], node.get("namespace", namespace)).rpartition(".")
            named[f"{namespace}.{name}"] = {**node, "name": name, "namespace": namespace}
        for part in _PARTS:
            _collect(node.get(part), namespace, named)


def _written_out(node: Any, namespace: str, named: dict[str, dict[str, Any]], defined: set[str]) -> Any:  # noqa: ANN401
    if isinstance(node, str):
        return _use_of(node, namespace, named, defined)
    if isinstance(node, list):
        return [_written_out(each, namespace, named, defined) for each in node]
    kind = node["type"]
    if kind in _NAMED:
        full = _full(node["name"], node.get("namespace", namespace))
        defined.add(full)
        if "fields" not in node:
            return node
        inside = full.rpartition(".")[0]
        fields = [
            {**each, "type": _written_out(each["type"], inside, named, defined)}  # in the order of first use
            for each in node["fields"]
        ]
        return {**node, "fields": fields}
    for part in ("items", "values"):
        if part in node:
            return {**node, part: _written_out(node[part], namespace, named, defined)}
    if isinstance(kind, str) and kind in _PRIMITIVES:
        return node
    return _written_out(kind, namespace, named, defined)


def _use_of(name: str, namespace: str, named: dict[str, dict[str, Any]], defined: set[str]) -> Any:  # noqa: ANN401
    if name in _PRIMITIVES:
        return name
    full = _full(name, namespace)
    if full in defined:
        return full.removeprefix(".")
    definition = named.get(full)
    return name if definition is None else _written_out(definition, "", named, defined)


def _full(name: str, namespace: str) -> str:
    """Return the full name.

    A type without a namespace gets a dot before its name. So no type with a namespace has the same name.
    """
    return name if "." in name else f"{namespace}.{name}"
