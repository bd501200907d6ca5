"""The registry's wire format: one zero byte, the schema id as four big-endian bytes, then plain Avro.

Source: Confluent's "Wire format" page of the Schema Registry documentation; Apicurio writes the same.
"""

import struct

MAGIC_BYTE = 0
HEADER = struct.Struct(">bI")
HEADER_BYTES = HEADER.size


def frame(schema_id: int, payload: bytes) -> bytes:
    """Put the 5-byte header before an Avro payload."""
    return HEADER.pack(MAGIC_BYTE, schema_id) + payload


def header(schema_id: int) -> bytes:
    """Return the five bytes that every message written with `schema_id` starts with."""
    return HEADER.pack(MAGIC_BYTE, schema_id)
