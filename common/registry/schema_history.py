"""Check whether each version of a contract can read all older ones: BACKWARD, transitive, without a registry.

Avro's own checker compares the schemas by the resolution rules of the specification. This module reports two more
problems. One is a changed logical type. For example, a long in milliseconds becomes a long in microseconds: it reads
without an error, a thousand times too large. The other is a missing version.
"""

import json
import warnings
from typing import Any

import avro.errors
import avro.schema
import fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from common.contracts import Contract

_SAYS = {
    "reader_field_missing_default_value": "the added field {} has no default",
    "name_mismatch": "the name changed, {}",
    "missing_enum_symbols": "the enum lost {}",
    "missing_union_branch": "{}",
    "fixed_size_mismatch": "the fixed size changed, {}",
    "type_mismatch": "{}",
}


def problems(history: list[Contract]) -> list[str]:
    """Return the problems of a contract's versions, oldest first; one sentence each, empty if there are none."""
    found = []
    for position, contract in enumerate(history, start=1):
        if contract.version != position:
            found.append(f"{contract.subject} has no version {position}")
            break
    unreadable = [f"version {each.version} is {problem}" for each in history if (problem := invalid(each.text))]
    if unreadable:
        return [*found, *unreadable]
    for position, newer in enumerate(history):
        for older in history[:position]:
            found += [
                f"version {newer.version} cannot read what version {older.version} wrote: {why}"
                for why in incompatibilities(newer.text, older.text)
            ]
    return found


def incompatibilities(reader: str, writer: str) -> list[str]:
    """Return why data of the schema `writer` cannot be read with `reader`, both valid Avro JSON."""
    new, old = _parsed(reader), _parsed(writer)
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(new, old)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return _changed_meanings(json.loads(reader), json.loads(writer))
    kinds = {kind.value for kind in result.incompatibilities}
    # The checker lists kinds, messages and places separately. They can be matched only if there is one kind.
    says = _SAYS[kinds.pop()] if len(kinds) == 1 else "{}"
    return [f"{says.format(', '.join(sorted(result.messages)))} (at {', '.join(sorted(result.locations))})"]


def _parsed(text: str) -> avro.schema.Schema:
    """Parse a schema.

    Avro's parser ignores some annotations, as the specification requires; hide its warning about each.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        return avro.schema.parse(text)


def invalid(text: str) -> str | None:
    """Return why the text is no Avro schema, or None.

    Avro's own parser checks it, and fastavro, which also compares a default with its field's type.
    """
    try:
        _parsed(text)
        fastavro.parse_schema(json.loads(text))
    except (
        avro.errors.AvroException,
        fastavro.schema.SchemaParseException,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
    ) as error:
        return f"no Avro schema: {' '.join(str(error).split())[:300].removesuffix('.')}"
    return None


def _changed_meanings(reader: Any, writer: Any, at: str = "") -> list[str]:  # noqa: ANN401 - Avro schemas are JSON
    if isinstance(reader, list) or isinstance(writer, list):
        return _in_unions(reader, writer, at)
    new, old = _meaning(reader), _meaning(writer)
    if new != old:
        return [f"{at or 'the schema'} changed its meaning from {old} to {new}"]
    if not (isinstance(reader, dict) and isinstance(writer, dict)):
        return []
    found = []
    before = {field["name"]: field for field in writer.get("fields", [])}
    for field in reader.get("fields", []):
        names = [field["name"], *field.get("aliases", [])]
        match = next((before[name] for name in names if name in before), None)
        if match is not None:
            found += _changed_meanings(field["type"], match["type"], f"{at}/{field['name']}")
    for part in ("items", "values"):
        if part in reader and part in writer:
            found += _changed_meanings(reader[part], writer[part], f"{at}/{part}")
    return found


def _in_unions(reader: Any, writer: Any, at: str) -> list[str]:  # noqa: ANN401
    """Check that every written branch keeps its meaning in one of the branches that can read it."""
    branches = reader if isinstance(reader, list) else [reader]
    found = []
    for old in writer if isinstance(writer, list) else [writer]:
        same = [new for new in branches if _base(new) == _base(old)]
        answers = [_changed_meanings(new, old, at) for new in same]
        if answers and all(answers):
            found += answers[0]
    return found


def _base(avro_type: Any) -> Any:  # noqa: ANN401
    return avro_type["type"] if isinstance(avro_type, dict) else avro_type


def _meaning(avro_type: Any) -> str:  # noqa: ANN401
    """Return the logical type, a decimal with its precision and scale; `plain` without one."""
    if not isinstance(avro_type, dict) or "logicalType" not in avro_type:
        return (
            _meaning(avro_type["type"])
            if isinstance(avro_type, dict) and isinstance(avro_type["type"], dict)
            else "plain"
        )
    logical = str(avro_type["logicalType"])
    if logical == "decimal":
        return f"decimal({avro_type.get('precision')}, {avro_type.get('scale', 0)})"
    return logical
