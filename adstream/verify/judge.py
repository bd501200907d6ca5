"""The oracle's judgement of one message, in plain Python.

Written from the rules, not from the job's code: decoding is fastavro's, and each rule stands here a second time.
"""

import io
from collections.abc import Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Any, NamedTuple

import fastavro

from adstream import wire

AHEAD = timedelta(minutes=1)
MAX_COST = 1_000_000
MAX_ID_BYTES = 512
_INT_LIMIT = 2**31
_MICROS_LIMIT = 2**63
_MICRO = Decimal("0.000001")


class Judged(NamedTuple):
    """One message: its place, `outcome` (counted, late or dead), and what it says unless dead. Times in ms, UTC."""

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
    """Decides on messages; `schemas` maps the subject's schema ids to their schemas as parsed JSON."""

    def __init__(self, schemas: Mapping[int, dict[str, Any]], lateness: timedelta) -> None:
        self._writers = {
            found: fastavro.parse_schema(_plain(schema)) for found, schema in schemas.items() if not _recursive(schema)
        }
        self._lateness = lateness // timedelta(milliseconds=1)
        self._ahead = AHEAD // timedelta(milliseconds=1)

    def judge(self, partition: int, offset: int, broker_time: int, value: bytes | None) -> Judged:
        """Judge one message; `broker_time` in milliseconds."""
        try:
            event = self._decode(value or b"")
            _validate(event)
            micros = int((Decimal(repr(event["cost"])) / _MICRO).quantize(Decimal(1), ROUND_HALF_UP))
            if event["timestamp"] > broker_time + self._ahead:
                raise _Dead
        except _Dead:
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
        writer = self._writers.get(wire.HEADER.unpack_from(value)[1])
        if writer is None:
            raise _Dead
        payload = io.BytesIO(value)
        payload.seek(wire.HEADER_BYTES)
        try:
            event: dict[str, Any] = fastavro.schemaless_reader(payload, writer, None)  # type: ignore[assignment]
            again = io.BytesIO()
            fastavro.schemaless_writer(again, writer, event)
        except Exception:  # noqa: BLE001 - whatever a decoder raises on random bytes, the message is unreadable
            raise _Dead from None
        # Bytes left over, numbers longer than need be, and fastavro's reading of union branch -1 as the last one.
        if again.getvalue() != value[wire.HEADER_BYTES :]:
            raise _Dead
        return event


def _recursive(schema: Any, outer: tuple[str, ...] = ()) -> bool:  # noqa: ANN401 - Avro types are JSON
    """Whether a record can hold itself; no message of such a schema counts, however deep it is."""
    if isinstance(schema, str):
        return schema.rpartition(".")[2] in outer
    if isinstance(schema, dict):
        if "name" in schema and "fields" in schema:
            outer = (*outer, schema["name"])
        parts = [field["type"] for field in schema.get("fields", ())]
        return _recursive([*parts, *(schema[key] for key in ("items", "values") if key in schema)], outer)
    return any(_recursive(branch, outer) for branch in schema)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without logical types: a time is then its number of milliseconds, also where Python has no such date."""
    fields = [
        {**field, "type": field["type"]["type"] if isinstance(field["type"], dict) else field["type"]}
        for field in schema["fields"]
    ]
    return {**schema, "fields": fields}


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
