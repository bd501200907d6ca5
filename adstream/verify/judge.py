"""The oracle's judgement of one message, in plain Python.

This is a second implementation of the rules, independent of the job's code. Avro's schema resolution
(common.avro.resolution) reads the message, without Spark and the JVM.
"""

import io
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from common import contracts
from common.avro import wire
from common.avro.binary import LONGEST
from common.avro.resolution import Resolution, Unreadable, Unresolvable, resolve
from common.avro.schema_types import Type, parse, within, without_annotations

CONTRACT = "ads_data"
AHEAD = timedelta(minutes=1)
MAX_COST = 1_000_000
MAX_ID_BYTES = 512
_INT_LIMIT = 2**31
_MICROS_LIMIT = 2**63


class Judged(NamedTuple):
    """One message: its place, `outcome` (counted, late or dead), and its fields unless dead. Times in ms, UTC."""

    partition: int
    offset: int
    outcome: str
    ad_id: str = ""
    timestamp: int = 0
    clicks: int = 0
    views: int = 0
    cost_micros: int = 0
    event_id: str | None = None


class _Dead(Exception):
    """A message that cannot be counted."""


class Judge:
    """Decides on messages; `schemas` maps the subject's schema ids to their schemas as parsed JSON of any kind.

    `ask` returns the schema of any other id, or None if its messages do not count. The judge calls it once per known
    id. A schema that the contract cannot read affects only its own messages: each of them is dead.
    """

    def __init__(
        self, schemas: Mapping[int, Any], lateness: timedelta, ask: Callable[[int], Any] = lambda _id: None
    ) -> None:
        self._contract = contracts.latest(CONTRACT).schema
        self._writers = {schema_id: self._writer(schema) for schema_id, schema in schemas.items()}
        self._ask = ask
        self._lateness = lateness // timedelta(milliseconds=1)
        self._ahead = AHEAD // timedelta(milliseconds=1)

    def judge(self, partition: int, offset: int, broker_time: int, value: bytes | None) -> Judged:
        """Judge one message; `broker_time` in milliseconds."""
        try:
            event = self._decode(value or b"")
            _validate(event)
            micros = int(Decimal(repr(event["cost"])).scaleb(6).to_integral_value(ROUND_HALF_UP))
            if event["timestamp"] > broker_time + self._ahead:
                raise _Dead
        except (_Dead, UnicodeEncodeError):  # text that is not UTF-8 is kept as lone surrogates, which have no bytes
            return Judged(partition, offset, "dead")
        return Judged(
            partition,
            offset,
            "late" if event["timestamp"] < broker_time - self._lateness else "counted",
            event["ad_id"],
            event["timestamp"],
            event["clicks"],
            event["views"],
            micros,
            event.get("event_id") or None,
        )

    def _decode(self, value: bytes) -> dict[str, Any]:
        if len(value) < wire.HEADER_BYTES or value[0] != wire.MAGIC_BYTE:
            raise _Dead
        schema_id = wire.HEADER.unpack_from(value)[1]
        if schema_id not in self._writers and (schema := self._ask(schema_id)) is not None:
            self._writers[schema_id] = self._writer(schema)
        writer = self._writers.get(schema_id)
        if writer is None:
            raise _Dead
        return writer.event(value)

    def _writer(self, schema: Any) -> "_Writer | None":  # noqa: ANN401 - JSON
        try:
            return _Writer(schema, resolve(schema, self._contract), parse(self._contract))
        except Unresolvable:
            return None


class _Writer:
    """Reads the messages of one schema.

    fastavro takes a third of the time of the resolution. Its result counts only if the values encode to the message's
    bytes again. The resolution reads all other messages, and all schemas that must be resolved.
    """

    def __init__(self, schema: Any, resolution: Resolution, contract: Type) -> None:  # noqa: ANN401 - JSON
        self._resolution = resolution
        self._fast: Any = None
        if _says_what_it_means(resolution.writer, contract):
            try:
                self._fast = parse_schema(without_annotations(schema))
            except Exception:  # noqa: BLE001 - it is stricter than Avro in places, and then does not help
                self._fast = None

    def event(self, value: bytes) -> dict[str, Any]:
        """Return the contract's fields of a message with its header. Raises _Dead."""
        # The job refuses longer texts, also in a field that only the writer has.
        if self._fast is not None and len(value) <= LONGEST:
            payload, again = value[wire.HEADER_BYTES :], io.BytesIO()
            try:
                event: dict[str, Any] = schemaless_reader(io.BytesIO(payload), self._fast, None)  # type: ignore[assignment]
                schemaless_writer(again, self._fast, event)
                if again.getvalue() == payload:
                    return event
            except Exception:  # noqa: BLE001, S110 - whatever it raises on random bytes, it proves nothing
                pass
        try:
            return self._resolution.read(value, wire.HEADER_BYTES).event
        except Unreadable:
            raise _Dead from None


def _says_what_it_means(written: Type, contract: Type) -> bool:
    """Return whether the writer's values are the contract's, unchanged.

    A field that only the writer has must not have an int. Avro refuses an int of more than five bytes, and fastavro
    does not.
    """
    if written.kind != "record":
        return False
    wanted = {each.name: each.type for each in contract.fields}
    return all(
        _same(each.type, wanted[each.name])
        if each.name in wanted
        else not any(inner.kind == "int" for inner in within(each.type))
        for each in written.fields
    ) and all(each.name in {own.name for own in written.fields} or each.default is None for each in contract.fields)


def _same(written: Type, wanted: Type) -> bool:
    return (
        written.kind == wanted.kind
        and written.logical in ("", wanted.logical)
        and not written.fields
        and len(written.parts) == len(wanted.parts)
        and all(_same(*both) for both in zip(written.parts, wanted.parts, strict=True))
    )


def _validate(event: dict[str, Any]) -> None:
    ad_id, cost = event["ad_id"], event["cost"]
    good = (
        bool(ad_id.strip(" "))
        and len(ad_id.encode()) <= MAX_ID_BYTES
        and len((event.get("event_id") or "").encode()) <= MAX_ID_BYTES
        and 0 <= event["clicks"] < _INT_LIMIT
        and 0 <= event["views"] < _INT_LIMIT
        and isfinite(cost)
        and 0 <= cost <= MAX_COST
        and abs(event["timestamp"]) * 1_000 < _MICROS_LIMIT
    )
    if not good:
        raise _Dead
