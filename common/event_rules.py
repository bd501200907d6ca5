"""Find the rule that a decoded event breaks, in plain Python: the rules of streaming.events.judge, for one event at a
time.

The job judges by Spark expressions; a test holds both against one table of cases. The bounds are defined here for both.
`adstream verify` has the rules a third time, on purpose: it shares nothing with the job.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

AHEAD = timedelta(minutes=1)
# Money is summed in millionths as a 64-bit integer. Nine million events of this amount fit into one key's sum.
LARGEST_NUMBER = 1_000_000.0
# Cassandra refuses partition keys of 64 KiB and more. Ids are far shorter.
LONGEST_STRING_BYTES = 512

Event = Mapping[str, Any]
# By the contract's record name: the fields that must not be below zero.
NOT_NEGATIVE = {"AdEvent": ("clicks", "views", "cost")}


@dataclass(frozen=True)
class Violation:
    """A broken rule: its `reason`, as the job writes it, the field with its value, and the requirement."""

    reason: str
    field: str
    value: Any
    wants: str


def violation(event: Event, schema: Event, time_field: str, arrival_ms: int) -> Violation | None:
    """Return the first rule that `event` breaks, in the job's order, or None.

    `schema` is the reader's contract as parsed JSON; times are milliseconds since 1970, UTC. No rule is about lateness:
    a late event is no dead letter.
    """
    for name, rule, wants, broken in _rules(schema):
        value = event.get(name)
        if value is not None and broken(value):
            return Violation(f"{name}_{rule}", name, value, wants)
    if event[time_field] > arrival_ms + AHEAD // timedelta(milliseconds=1):
        wants = f"at most {AHEAD.seconds // 60} minute ahead of the broker's clock"
        return Violation(f"{time_field}_ahead", time_field, event[time_field], wants)
    if event[time_field] < 0:
        return Violation(f"{time_field}_before_1970", time_field, event[time_field], "1970 or later")
    return None


def reasons(schema: Event, time_field: str) -> list[str]:
    """Return every reason for which an event of this contract can be refused, in the job's order."""
    named = [f"{name}_{rule}" for name, rule, _wants, _broken in _rules(schema)]
    return [*named, f"{time_field}_ahead", f"{time_field}_before_1970"]


Rule = tuple[str, str, str, Callable[[Any], bool]]


def _rules(schema: Event) -> Iterator[Rule]:
    for field in schema["fields"]:
        name, kind = field["name"], field["type"]
        if _holds(kind, "string"):
            yield name, "not_utf8", "UTF-8", _not_utf8
        if kind == "string":
            yield name, "empty", "not empty", lambda text: not text.strip(" ")
        if _holds(kind, "string"):
            yield name, "too_long", f"at most {LONGEST_STRING_BYTES} bytes of UTF-8", _too_long
        if _holds(kind, "double") or _holds(kind, "float"):
            yield name, "not_finite", "a number, and finite", lambda number: not math.isfinite(number)
            yield name, "too_large", f"at most {LARGEST_NUMBER:,.0f}", lambda number: abs(number) > LARGEST_NUMBER
    for name in NOT_NEGATIVE.get(schema["name"], ()):
        yield name, "negative", "0 or more", lambda number: number < 0


def _not_utf8(text: str) -> bool:
    """Return whether the text had bytes that are not UTF-8.

    The decoder kept such bytes as lone surrogates (`surrogateescape`).
    """
    return any("\udc80" <= char <= "\udcff" for char in text)


def _too_long(text: str) -> bool:
    return len(text.encode(errors="surrogateescape")) > LONGEST_STRING_BYTES


def _holds(avro_type: Any, plain: str) -> bool:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    return avro_type == plain or (isinstance(avro_type, list) and plain in avro_type)
