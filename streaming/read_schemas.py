"""The Avro schemas that messages are read with: a little wider than the contracts, so that no corruption goes unseen.

Avro's decoder lets two things pass, and each would count a corrupted message as a good one:

- Bytes behind the last field. The length that the values encode to is compared with the message's (streaming.decode),
  and for that every field must be known: those that only a newer writer has are read too, and dropped afterwards.
- An `int` of more than 32 bits: the decoder keeps the lower ones. An int is written as a long is, so it is read as a
  long, and made an int afterwards, if it is one.
"""

import json
from collections.abc import Iterable
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from adstream.contracts import Contract
from streaming.avro_length import encoded_length


def takes_any_stack(kind: Any, within: frozenset[str] = frozenset()) -> bool:  # noqa: ANN401
    """True for a schema of records within themselves: Avro follows them as deep as a message says, and the JVM dies."""
    if isinstance(kind, str):
        return kind in within
    if isinstance(kind, list):
        return any(takes_any_stack(branch, within) for branch in kind)
    if kind["type"] == "record":
        inside = within | {kind["name"], f"{kind.get('namespace', '')}.{kind['name']}"}
        return any(takes_any_stack(field["type"], inside) for field in kind["fields"])
    return takes_any_stack(kind.get("items", kind.get("values", kind["type"])), within)


def wide_writer(writer: Contract) -> str:
    """The writer's schema as it is given to Avro."""
    return _text(writer, [{**field, "type": _wide(field["type"])} for field in writer.schema["fields"]])


def wide_reader(reader: Contract, writers: Iterable[Contract]) -> Contract:
    """The reader's contract with the fields of all writers besides, null where they were not written."""
    fields = [{**field, "type": _wide(field["type"])} for field in reader.schema["fields"]]
    known = {field["name"] for field in fields}
    more: dict[str, list[Any]] = {}
    for field in (field for writer in writers for field in writer.schema["fields"] if field["name"] not in known):
        more.setdefault(field["name"], []).append(_nullable(_wide(field["type"])))
    # What has no length is not worth reading, and what two writers mean differently cannot be read by one schema.
    fields += [
        {"name": name, "type": kinds[0], "default": None}
        for name, kinds in more.items()
        if kinds.count(kinds[0]) == len(kinds) and _has_length(name, kinds[0])
    ]
    return Contract(reader.subject, reader.version, _text(reader, fields))


def narrowed(read: Column, reader: Contract) -> Column:
    """The struct that was read by the wide schema as one by the reader's own; what is no int is null."""
    fields = [(field["name"], field["type"]) for field in reader.schema["fields"]]
    return F.struct(
        *((read[name].try_cast("int") if _is_int(kind) else read[name]).alias(name) for name, kind in fields)
    )


def corrupted(read: Column, event: Column, reader: Contract, wide: Contract) -> list[Column]:
    """Conditions that tell of values which are lost in `event`: no int, or text that is not UTF-8."""
    ints = [field["name"] for field in reader.schema["fields"] if _is_int(field["type"])]
    own = {field["name"] for field in reader.schema["fields"]}
    dropped = [field for field in wide.schema["fields"] if field["name"] not in own]
    texts = [field["name"] for field in dropped if field["type"] == ["null", "string"]]
    return [
        *(read[name].isNotNull() & event[name].isNull() for name in ints),
        *(read[name].isNotNull() & ~F.is_valid_utf8(read[name]) for name in texts),
    ]


def _is_int(kind: Any) -> bool:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    return kind == "int" or (isinstance(kind, list) and "int" in kind)


def _wide(kind: Any) -> Any:  # noqa: ANN401
    if isinstance(kind, list):
        return [_wide(branch) for branch in kind]
    return "long" if kind == "int" else kind


def _nullable(kind: Any) -> Any:  # noqa: ANN401
    return ["null", *(branch for branch in (kind if isinstance(kind, list) else [kind]) if branch != "null")]


def _has_length(name: str, kind: Any) -> bool:  # noqa: ANN401
    record = {"fields": [{"name": name, "type": kind}]}
    return encoded_length(record, F.struct(F.lit(None).alias(name)), {name}) is not None


def _text(contract: Contract, fields: list[dict[str, Any]]) -> str:
    return json.dumps({**contract.schema, "fields": fields})
