"""Turn Python values into bytes of CQL's native protocol, for the types of the tables.

The driver's own `bind` is the largest part of a row's cost in the writing process. This module takes about a quarter of
its time (docs/performance.md). The driver encodes all other types. Source: "Native protocol v5", section 6, in
Cassandra's documentation.
"""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Encode = Callable[[Any], bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# A date is an unsigned number of days with 1970-01-01 in the middle of its range.
DAY_ZERO = 2**31
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_int32 = struct.Struct(">i").pack
_uint32 = struct.Struct(">I").pack
_int64 = struct.Struct(">q").pack


def encoder(cql_type: Any, protocol_version: int) -> Encode:  # noqa: ANN401 - the driver has no types
    """Return the function that encodes values of a column's type, from a prepared statement's metadata."""
    known = _ENCODERS.get(cql_type.typename)
    if known is not None:
        return known
    return lambda value: bytes(cql_type.serialize(value, protocol_version))


def _text(value: str) -> bytes:
    return value.encode()


def _timestamp(value: datetime | int) -> bytes:
    """Encode whole milliseconds since the epoch, rounded down. A datetime must be aware."""
    return _int64(value if isinstance(value, int) else (value - _EPOCH) // _MILLISECOND)


def _date(value: date | int) -> bytes:
    """Encode a date, or its days since 1970-01-01."""
    days = value if isinstance(value, int) else value.toordinal() - _EPOCH_DAY
    return _uint32(days + DAY_ZERO)


def _decimal(value: Decimal) -> bytes:
    """Encode the scale, then the unscaled number; digits stay, so 1.50 stays 1.50."""
    whole, _, fraction = format(value, "f").partition(".")
    unscaled = int(whole + fraction)
    return _int32(len(fraction)) + unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)


_ENCODERS: dict[str, Encode] = {
    "varchar": _text,
    "text": _text,
    "int": _int32,
    "bigint": _int64,
    "decimal": _decimal,
    "timestamp": _timestamp,
    "date": _date,
}
