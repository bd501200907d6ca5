"""The Avro schemas for `from_avro`: the registered ones, with additions that make corruption visible.

Avro's decoder lets four problems pass. Each would count a corrupted message as a good one, or a good message wrongly:

- Bytes behind the last field. The payload is the first field of a frame, and a mark behind the payload is the second.
  Avro finds the mark only if the event ends exactly at the end of the payload.
- An `int` of more than 32 bits: the decoder keeps the lower ones. Avro writes an int as it writes a long. So the schema
  reads a long, which becomes an int afterwards if it fits.
- Text that is not UTF-8. The judge checks the contract's own text later (streaming.events.judge). The schema reads the
  first texts that only the writer has under names of ours, and this module checks them.
- Times in another unit: Avro reads microseconds as if they were milliseconds. The schema reads them as numbers under a
  name of ours. This module converts them, and cuts the rest of a millisecond.

Avro matches fields by name, so the writers' fields get new names that match. Avro skips everything else that a writer
has, whatever its type.
"""

import json
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from common.avro.resolution import Resolution
from common.avro.schema_types import Type
from common.avro.single_values import TO_MILLIS
from common.avro.values import Record, Step
from common.contracts import Contract

# The parts of a frame. The mark is random, so that nobody can write a message that ends with it.
VALUE, END = "value", "end"
# Read as a double: of eight bytes this is the cheapest for Avro and Spark. The highest bits make it an ordinary number,
# which equals no other bytes.
END_MARK = secrets.token_bytes(7) + b"\x3f"
(_END,) = struct.unpack("<d", END_MARK)

_MILLIS = "timestamp-millis"


@dataclass(frozen=True)
class Writer:
    """A writer's schema, as parsed JSON, and how the contract reads it."""

    schema: Any
    resolution: Resolution


class ReadSchemas:
    """The schemas for the messages of all `writers`: `by_id` has each writer's schema.

    One reader's schema serves all.
    """

    def __init__(self, writers: Mapping[int, Writer], reader: Contract) -> None:
        self._fields = reader.schema["fields"]
        records = [record for writer in writers.values() for record in _records(writer)]
        texts = max((sum(step.text for step in each.steps) for each in records), default=0)
        self._texts = [f"_text_{place}" for place in range(texts)]
        steps = [step for record in records for step in record.steps]
        self._finer = sorted({(str(step.target), unit) for step in steps if (unit := _finer(step))})
        self.reader = self._framed({**reader.schema, "fields": list(self._reader_fields())})
        self.by_id = {schema_id: self._framed(self._written(writer)) for schema_id, writer in writers.items()}

    def event(self, read: Column) -> Column:
        """Return the contract's own struct of a frame that was read. A number outside the range of an int is null."""
        fields = ((each["name"], each["type"]) for each in self._fields)
        return F.struct(*(self._field(read[VALUE], name, kind).alias(name) for name, kind in fields))

    def framed(self, event: Column) -> Column:
        """Wrap an event with the contract's fields as if Avro had read it in a frame."""
        own = [event[each["name"]].alias(each["name"]) for each in self._fields]
        ours = [F.lit(None).alias(name) for name in (*self._texts, *(_in_unit(*each) for each in self._finer))]
        return F.struct(F.struct(*own, *ours).alias(VALUE), F.lit(_END).alias(END))

    @staticmethod
    def whole(read: Column) -> Column:
        """Return whether the event ends where the payload does; null if nothing was read."""
        return read[END] == F.lit(_END)

    def corrupted(self, read: Column, event: Column) -> list[Column]:
        """Return the conditions for values lost in `event`.

        They are a number outside the range of an int, and text that is not UTF-8.
        """
        value = read[VALUE]
        ints = [each["name"] for each in self._fields if _is_int(each["type"])]
        return [
            *(value[name].isNotNull() & event[name].isNull() for name in ints),
            *(value[name].isNotNull() & ~F.is_valid_utf8(value[name]) for name in self._texts),
        ]

    def _field(self, value: Column, name: str, kind: Any) -> Column:  # noqa: ANN401 - Avro types are JSON
        if _is_int(kind):
            return value[name].try_cast("int")
        finer = [_millis(value[_in_unit(name, unit)], TO_MILLIS[unit]) for other, unit in self._finer if other == name]
        return F.coalesce(value[name], *finer) if finer else value[name]

    def _reader_fields(self) -> Iterator[dict[str, Any]]:
        finer = {name for name, _ in self._finer}
        for each in self._fields:
            if each["name"] in finer:  # some writers have the field under another name
                yield {**each, "type": ["null", {"type": "long", "logicalType": _MILLIS}], "default": None}
            else:
                yield {**each, "type": _wide(each["type"])}
        for name in self._texts:
            yield {"name": name, "type": ["null", "string"], "default": None}
        for name, unit in self._finer:
            yield {"name": _in_unit(name, unit), "type": ["null", "long"], "default": None}

    def _written(self, writer: Writer) -> Any:  # noqa: ANN401
        schema, records = _unwrapped(writer.schema), writer.resolution.records
        if isinstance(schema, list):
            return [self._branch(branch, record) for branch, record in zip(schema, records, strict=True)]
        return self._branch(schema, records[0])

    def _branch(self, schema: Any, record: Record | str) -> Any:  # noqa: ANN401
        """Return a writer's record with its fields renamed.

        If the record is no event of the contract, no renamed field matches.
        """
        if not isinstance(record, Record):
            if not isinstance(schema, dict) or "fields" not in schema:
                return schema
            return {**schema, "fields": [_skipped(each) for each in schema["fields"]]}
        texts = iter(self._texts)
        fields = []
        for each, step in zip(schema["fields"], record.steps, strict=True):
            if step.target is not None:
                unit = _finer(step)
                name = _in_unit(step.target, unit) if unit else step.target
                fields.append({"name": name, "type": self._given(step.target, each["type"])})
            elif step.text:
                fields.append({"name": next(texts), "type": each["type"]})
            else:
                fields.append(_skipped(each))
        return {**schema, "fields": fields}

    def _given(self, target: str, kind: Any) -> Any:  # noqa: ANN401
        """Return the type of a writer's field for Avro, with every int as a long.

        If the contract wants an int, a long in a union does not match. A record around the long has the same bytes, and
        Avro does not take the record for a number.
        """
        wants_int = any(each["name"] == target and _is_int(each["type"]) for each in self._fields)
        if not (wants_int and isinstance(kind, list)):
            return _wide(kind)
        long_only = {"type": "record", "name": f"AdstreamLong_{target}", "fields": [{"name": VALUE, "type": "long"}]}
        return [long_only if _is(branch, "long") else _wide(branch) for branch in kind]

    def _framed(self, schema: Any) -> str:  # noqa: ANN401
        fields = [{"name": VALUE, "type": schema}, {"name": END, "type": "double"}]
        return json.dumps({"type": "record", "name": "AdstreamFrame", "fields": fields})


def _records(writer: Writer) -> Iterator[Record]:
    return (record for record in writer.resolution.records if isinstance(record, Record))


def _unwrapped(schema: Any) -> Any:  # noqa: ANN401
    while isinstance(schema, dict) and not isinstance(schema["type"], str):
        schema = schema["type"]
    return schema


def _branches(kind: Type) -> list[Type]:
    return kind.parts if kind.kind == "union" else [kind]


def _finer(step: Step) -> str:
    """Return the unit of a time if the writer's is finer than the contract's; else empty."""
    if step.target is None:
        return ""
    return next((each.logical for each in _branches(step.type) if each.logical in TO_MILLIS), "")


def _skipped(field: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"_skipped_{field['name']}", "type": field["type"]}


def _in_unit(name: str, unit: str) -> str:
    return f"_{unit.replace('-', '_')}_{name}"


def _millis(number: Column, units: int) -> Column:
    """Return the time, with the rest of a millisecond cut.

    No step overflows: an overflow would end the batch.
    """
    down = F.call_function("div", number + 1, F.lit(units)) - 1
    millis = F.when(number < 0, down).otherwise(F.call_function("div", number, F.lit(units)))
    return F.timestamp_millis(millis)


def _is_int(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a type of the contract is an int. An int with its own meaning, like a date, is read unchanged."""
    return "int" in (kind if isinstance(kind, list) else [kind])


def _wide(kind: Any) -> Any:  # noqa: ANN401
    """Return the type with every int as a long.

    Exceptions: a union with a long already, and dates and times.
    """
    if isinstance(kind, list):
        return kind if any(_is(branch, "long") for branch in kind) else [_wide(branch) for branch in kind]
    means_more = isinstance(kind, dict) and kind.get("logicalType") in ("date", "time-millis")
    return "long" if _is(kind, "int") and not means_more else kind


def _is(kind: Any, name: str) -> bool:  # noqa: ANN401
    return kind == name or (isinstance(kind, dict) and kind.get("type") == name)
