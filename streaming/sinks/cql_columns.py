"""Turn Arrow columns into values of CQL's native protocol, a whole column at a time.

Encoding a row of nine values one by one took 14 µs, half of a row's cost in the writing process (docs/performance.md).
A column of ten thousand values takes a few calls of numpy and Arrow, whatever its length.

A column here is a binary array, or one binary scalar if all rows have the same value. Each element is a whole `[value]`
of the protocol: its length in four bytes, then its bytes. Null becomes "not set", length -2 without bytes. Source:
"Native protocol v5", sections 3 and 6, in Cassandra's documentation.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.sinks.cql_values import DAY_ZERO, encoder

Values: TypeAlias = pa.BinaryArray | pa.BinaryScalar

Numbers = npt.NDArray[Any]

_NOT_SET = b"\xff\xff\xff\xfe"
_LENGTH = 4
_DECIMAL_BYTES = 16


def encoded(column: pa.Array, cql_type: Any, protocol_version: int) -> pa.BinaryArray:  # noqa: ANN401 - as `encoder`
    """Encode the column's values. Times are cut to milliseconds; `date` takes dates or times.

    Types of Arrow and CQL that are not named here are encoded value by value.
    """
    whole = _WHOLE.get((cql_type.typename, _kind(column.type)))
    if whole is None:
        return encoded_values(column.to_pylist(), cql_type, protocol_version)
    return _or_not_set(whole(column), column)


def encoded_values(values: Sequence[Any], cql_type: Any, protocol_version: int) -> pa.BinaryArray:  # noqa: ANN401
    """Encode Python values one by one; None is null."""
    encode = encoder(cql_type, protocol_version)
    column = pa.array([None if value is None else encode(value) for value in values], pa.binary())
    return _or_not_set(_with_length(column), column)


def encoded_value(value: Any, cql_type: Any, protocol_version: int) -> pa.BinaryScalar:  # noqa: ANN401
    """Encode one value for all rows."""
    return encoded_values([value], cql_type, protocol_version)[0]


def repeated(values: Values, rows: int) -> pa.BinaryArray:
    """Return the column as an array."""
    return pa.repeat(values, rows) if isinstance(values, pa.BinaryScalar) else values


def value_of(element: pa.BinaryScalar) -> bytes:
    """Return the bytes of one value, without their length."""
    element_bytes: bytes = element.as_py()
    return element_bytes[_LENGTH:]


def joined(start: bytes, columns: Sequence[Values]) -> pa.BinaryArray:
    """Join `start` and the row's values, row by row. At least one of the columns is an array."""
    return pc.binary_join_element_wise(_scalar(start), *columns, _scalar(b""))


def _scalar(value: bytes) -> pa.BinaryScalar:
    """Not a constant of the module: `pa.scalar` imports pandas, which takes most of a second at the start."""
    return pa.scalar(value, pa.binary())


def _kind(arrow_type: pa.DataType) -> str:
    if pa.types.is_timestamp(arrow_type):
        return "timestamp"
    if pa.types.is_decimal128(arrow_type) and arrow_type.scale >= 0:
        return "decimal"
    return str(arrow_type)


def _or_not_set(values: pa.BinaryArray, column: pa.Array) -> pa.BinaryArray:
    return pc.if_else(column.is_valid(), values, _scalar(_NOT_SET)) if column.null_count else values


def _with_length(column: pa.Array) -> pa.BinaryArray:
    lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return pc.binary_join_element_wise(_cut(lengths.astype(">i4"), 4), pc.fill_null(column, b""), _scalar(b""))


def _text(column: pa.Array) -> pa.BinaryArray:
    return _with_length(column.cast(pa.binary()))


def _fixed(numbers: Numbers, layout: str) -> pa.BinaryArray:
    """Encode numbers of one width. `>i8` is numpy's name for 8 bytes, the highest first."""
    values = np.empty(len(numbers), [("length", ">i4"), ("value", layout)])
    values["length"], values["value"] = np.dtype(layout).itemsize, numbers
    return _cut(values, values.itemsize)


def _cut(values: Numbers, width: int) -> pa.BinaryArray:
    """Cut bytes into elements of `width` bytes each."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * np.int32(width)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def _bigint(column: pa.Array) -> pa.BinaryArray:
    return _fixed(_numbers(column), ">i8")


def _int(column: pa.Array) -> pa.BinaryArray:
    return _fixed(_numbers(column), ">i4")


def _numbers(column: pa.Array) -> Numbers:
    """Return the column's numbers, with 0 for null."""
    numbers: Numbers = (column.fill_null(0) if column.null_count else column).to_numpy()
    return numbers


def _timestamp(column: pa.Array) -> pa.BinaryArray:
    return _fixed(_milliseconds(column), ">i8")


def _milliseconds(column: pa.Array) -> Numbers:
    """Return milliseconds since the epoch, rounded down: Arrow's own cast rounds towards zero."""
    per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[column.type.unit]
    numbers = _numbers(column.cast(pa.int64()))
    return numbers * 1_000 if per_second == 1 else numbers // (per_second // 1_000)


def _day_of_time(column: pa.Array) -> pa.BinaryArray:
    return _fixed(_milliseconds(column) // 86_400_000 + DAY_ZERO, ">u4")


def _day(column: pa.Array) -> pa.BinaryArray:
    return _fixed(_numbers(column.cast(pa.int32())).astype(np.int64) + DAY_ZERO, ">u4")


def _decimal(column: pa.Array) -> pa.BinaryArray:
    """Encode the scale, then the unscaled number in as few bytes as hold it and its sign."""
    low_and_high = np.frombuffer(column.buffers()[1], "<i8").reshape(-1, 2)
    low_and_high = low_and_high[column.offset : column.offset + len(column)]
    big_endian = np.empty((len(column), 8 + _DECIMAL_BYTES), np.uint8)
    numbers = big_endian[:, 8:]
    numbers[:, :8] = low_and_high[:, 1].astype(">i8").view(np.uint8).reshape(-1, 8)
    numbers[:, 8:] = low_and_high[:, 0].astype(">i8").view(np.uint8).reshape(-1, 8)
    # A leading byte is redundant if it only repeats the sign bit of the next byte.
    sign = np.where(low_and_high[:, 1] < 0, 0xFF, 0).astype(np.uint8)[:, None]
    needed = (numbers != sign) | ((np.roll(numbers, -1, axis=1) ^ sign) & 0x80 != 0)
    needed[:, -1] = True
    kept = _DECIMAL_BYTES - needed.argmax(axis=1)
    lengths = (4 + kept).astype(">i4")
    big_endian[:, :4] = lengths.view(np.uint8).reshape(-1, 4)
    big_endian[:, 4:8] = np.frombuffer(np.array(column.type.scale, ">i4").tobytes(), np.uint8)
    places = np.arange(8 + _DECIMAL_BYTES)[None, :]
    taken = (places < 8) | (places >= (8 + _DECIMAL_BYTES - kept)[:, None])
    offsets = np.concatenate(([0], np.cumsum(8 + kept))).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(big_endian[taken])]
    return pa.Array.from_buffers(pa.binary(), len(column), buffers)


_WHOLE: dict[tuple[str, str], Callable[[pa.Array], pa.BinaryArray]] = {
    ("varchar", "string"): _text,
    ("text", "string"): _text,
    ("int", "int32"): _int,
    ("bigint", "int64"): _bigint,
    ("bigint", "int32"): _bigint,
    ("timestamp", "timestamp"): _timestamp,
    ("date", "timestamp"): _day_of_time,
    ("date", "date32[day]"): _day,
    ("decimal", "decimal"): _decimal,
}
