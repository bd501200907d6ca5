"""Messages that a reader must survive: bytes that do not decode, and events that decode but cannot be true.

Every kind is certain to be broken, for all random numbers, so that broken messages can be counted exactly.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from common.avro import wire

TEN_YEARS_MILLIS = 10 * 365 * 24 * 3_600_000


def _empty(_good: bytes, _rng: Random) -> bytes:
    return b""


def _short(good: bytes, rng: Random) -> bytes:
    return good[: rng.randrange(1, wire.HEADER_BYTES)]


def _wrong_magic_byte(good: bytes, rng: Random) -> bytes:
    return bytes([rng.randrange(1, 256)]) + good[1:]


def _unknown_schema_id(good: bytes, rng: Random) -> bytes:
    # Registries count ids up from 1, and never reach two thousand million.
    return wire.frame(0x7F00_0000 + rng.randrange(1 << 24), good[wire.HEADER_BYTES :])


def _truncated(good: bytes, rng: Random) -> bytes:
    return good[: rng.randrange(wire.HEADER_BYTES, len(good))]


def _random_bytes(_good: bytes, rng: Random) -> bytes:
    return bytes([rng.randrange(1, 256)]) + rng.randbytes(rng.randrange(wire.HEADER_BYTES, 60))


def _random_payload(good: bytes, rng: Random) -> bytes:
    # Avro writes numbers as zigzag. An odd first byte means a negative number, and no string has a negative length. In
    # some contracts the first field is a number, which takes one byte below 128. Then the second field is the string.
    negative = bytes([rng.randrange(1, 128, 2), rng.randrange(1, 256, 2)])
    return good[: wire.HEADER_BYTES] + negative + rng.randbytes(rng.randrange(60))


def _trailing_garbage(good: bytes, rng: Random) -> bytes:
    return good + rng.randbytes(rng.randrange(1, 17))


BYTES: dict[str, Callable[[bytes, Random], bytes]] = {
    "empty": _empty,
    "short": _short,
    "wrong_magic_byte": _wrong_magic_byte,
    "unknown_schema_id": _unknown_schema_id,
    "truncated": _truncated,
    "random_bytes": _random_bytes,
    "random_payload": _random_payload,
    "trailing_garbage": _trailing_garbage,
}

ValueSpoiler = Callable[[dict[str, Any]], dict[str, Any]]

AHEAD = "timestamp_ahead"


def ahead(time_field: str, event: dict[str, Any]) -> dict[str, Any]:
    """Move the event ten years ahead, for any contract."""
    return {**event, time_field: event[time_field] + TEN_YEARS_MILLIS}


AD_VALUES: dict[str, ValueSpoiler] = {
    "ad_id_empty": lambda event: {**event, "ad_id": ""},
    "clicks_negative": lambda event: {**event, "clicks": -1 - event["clicks"]},
    "views_negative": lambda event: {**event, "views": -1 - event["views"]},
    "cost_negative": lambda event: {**event, "cost": -0.01 - event["cost"]},
    "cost_nan": lambda event: {**event, "cost": float("nan")},
    "cost_infinite": lambda event: {**event, "cost": float("inf")},
}

# The kinds for ads, the only source with all of them.
KINDS = (*BYTES, *AD_VALUES, AHEAD)
