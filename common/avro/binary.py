"""Read Avro's binary encoding from bytes at a position, with exactly the limits of Apache Avro's Java decoder.

The job decodes with that decoder (BinaryDecoder of Avro 1.12.1), so its limits apply here. A long has at most 10 bytes,
and bits beyond the 64th are cut. Union branches and enum symbols are ints of at most 5 bytes, cut to 32 bits. A length
below zero is an error in a value that is read, and means no bytes in a value that is skipped.
"""

import struct

# The job refuses longer strings and bytes, and arrays and maps with more items (streaming/spark/session.py).
LONGEST = 1_048_576
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")
_INT_BYTES, _LONG_BYTES = 5, 10


class Malformed(ValueError):
    """Bytes that are not a value of the wanted type; the message says why."""


class Truncated(Malformed):
    """Bytes that end before the value does."""

    def __init__(self) -> None:
        super().__init__("the bytes end before it does")


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Return a 64-bit zig-zag varint and the position behind it. Raises Malformed, as all functions here do."""
    try:
        byte = data[at]
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1), at + 1
        raw, end = _varint(data, at, _LONG_BYTES)
    except IndexError:
        raise Truncated from None
    raw &= 0xFFFF_FFFF_FFFF_FFFF
    return (raw >> 1) ^ -(raw & 1), end


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint of at most 5 bytes, cut to 32 bits."""
    try:
        raw, end = _varint(data, at, _INT_BYTES)
    except IndexError:
        raise Truncated from None
    raw &= 0xFFFF_FFFF
    return (raw >> 1) ^ -(raw & 1), end


def read_int32(data: bytes, at: int) -> tuple[int, int]:
    """Read an int: a long that fits 32 bits."""
    value, end = read_long(data, at)
    if not -(2**31) <= value < 2**31:
        raise Malformed(f"it is {value}, which is no 32-bit integer")
    return value, end


def read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    """Read one byte; only 1 is true."""
    return data[at : after(data, at, 1)] == b"\x01", at + 1


def read_float(data: bytes, at: int) -> tuple[float, int]:
    """Read four bytes, the lowest first."""
    end = after(data, at, 4)
    return _FLOAT.unpack_from(data, at)[0], end


def read_double(data: bytes, at: int) -> tuple[float, int]:
    """Read eight bytes, the lowest first."""
    end = after(data, at, 8)
    return _DOUBLE.unpack_from(data, at)[0], end


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a length and that many bytes, at most `LONGEST`."""
    value, end = read_any_bytes(data, at)
    if len(value) > LONGEST:
        raise Malformed(f"its length is {len(value):,}, and at most {LONGEST:,} bytes are read")
    return value, end


def read_any_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a length and that many bytes, without a limit."""
    size, start = read_long(data, at)
    if size < 0:
        raise Malformed(f"its length is {size}")
    end = after(data, start, size)
    return data[start:end], end


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """Read a length and that many bytes as UTF-8. Invalid bytes become lone surrogates (`surrogateescape`)."""
    value, end = read_bytes(data, at)
    return value.decode(errors="surrogateescape"), end


def skip_bytes(data: bytes, at: int) -> int:
    """Return the end of a string or bytes of any length. A length below zero means no bytes."""
    size, start = read_long(data, at)
    return after(data, start, max(size, 0))


def after(data: bytes, at: int, size: int) -> int:
    """Return the position `size` bytes on."""
    end = at + size
    if end > len(data):
        raise Truncated
    return end


def write_long(number: int) -> bytes:
    """Write the shortest zig-zag varint, also for an int, a branch, a symbol or a length."""
    rest = ((number << 1) ^ (number >> 63)) & 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def as_float32(number: float) -> float:
    """Return the nearest 32-bit number, rounded once, as Java converts an int or a long."""
    if isinstance(number, int) and abs(number) >= 2**53:
        # Python converts to 32 bits through 64. So keep 40 bits, the last one odd if any was lost.
        size, shift = abs(number), abs(number).bit_length() - 40
        kept = (size >> shift | bool(size & ((1 << shift) - 1))) << shift
        number = kept if number > 0 else -kept
    found: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
    return found


def _varint(data: bytes, at: int, most: int) -> tuple[int, int]:
    raw = 0
    for place in range(most):
        byte = data[at + place]
        raw |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return raw, at + place + 1
    raise Malformed(f"it is a number of more than {most} bytes")
