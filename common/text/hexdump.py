"""Bytes to look at: offset, 16 bytes in hex, and the same as ASCII where they can be printed."""

from collections.abc import Iterator

_PER_LINE = 16


def hexdump(data: bytes, most: int) -> Iterator[str]:
    """Return lines for the first `most` bytes, and one line with the number of further bytes."""
    for start in range(0, min(len(data), most), _PER_LINE):
        line = data[start : min(start + _PER_LINE, most)]
        ascii_text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        yield f"{start:06x}  {line.hex(' '):<{3 * _PER_LINE}} |{ascii_text}|"
    if len(data) > most:
        yield f"... and {len(data) - most:,} more bytes"
