"""Formats other than the registry's own (common.avro.wire), recognised by a message's first bytes and headers.

There are two kinds of answer. `other_registry` is certain: the message was written for another schema registry, or has
the schema's id in another place. Its dead-letter reason says so. `looks_like` is a guess about a value, for a person
who looks at one message. The job's version in Spark is streaming.events.foreign_formats.

Sources: the serializers of AWS Glue (version 3, a byte for the compression, a UUID), Azure (a header `content-type`;
before that four zero bytes and 32 hexadecimal digits), Apicurio (ids of eight bytes, or headers `apicurio.value.*`) and
Cloudera (a protocol number, then ids), and Avro's specification (single-object encoding, object container files).
"""

import json
import struct
import uuid
from collections.abc import Iterable

Headers = Iterable[tuple[str, bytes | None]]

GLUE = 3
GLUE_COMPRESSIONS = {0: "not compressed", 5: "compressed with zlib"}
GLUE_BYTES = 18
SINGLE_OBJECT = b"\xc3\x01"
SINGLE_OBJECT_BYTES = 10
# The magic byte, and the first half of an eight-byte id below 2^32. Read as a four-byte id, this half is 0.
LONG_ID = bytes(5)
LONG_ID_BYTES = 9
AZURE_HEADER = "content-type"
AZURE_CONTENT = b"avro/binary+"
APICURIO_HEADERS = "apicurio.value."
AZURE_MARK = bytes(4)
AZURE_ID_CHARS = 32
_SHOWN = 60
_FIRST_BYTES = {
    b"Obj\x01": "an Avro object container file",
    b"\xac\xed\x00\x05": "an object of Java's own serialization",
    b"\x1f\x8b": "data compressed with gzip",
    b"\x28\xb5\x2f\xfd": "data compressed with zstd",
}


def other_registry(value: bytes, headers: Headers = ()) -> str | None:
    """Return the other registry that the message was written for, and the schema. None without a sign of one."""
    return _by_headers(headers) or _by_bytes(value)


def looks_like(value: bytes) -> str | None:
    """Guess the format of a value without the registry's magic byte; None for bytes that say nothing."""
    for first, what in _FIRST_BYTES.items():
        if value.startswith(first):
            return what
    if found := _cloudera(value):
        return found
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return "JSON" if _is_json(text) else "text that begins as JSON does"
    printable = text.translate({ord(space): None for space in "\r\n\t"})
    return f"text ({text[:_SHOWN]!r})" if text and printable.isprintable() else None


def _by_headers(headers: Headers) -> str | None:
    for name, content in headers:
        said = (content or b"")[:_SHOWN].decode("ascii", "backslashreplace")
        if name.lower() == AZURE_HEADER and (content or b"").startswith(AZURE_CONTENT):
            return f"Azure Event Hubs' schema registry: the header {name} names its schema ({said})"
        if name.startswith(APICURIO_HEADERS):
            number = struct.unpack(">q", content)[0] if content and len(content) == struct.calcsize(">q") else said
            return f"Apicurio with ids in headers: the header {name} names its schema ({number})"
    return None


def _by_bytes(value: bytes) -> str | None:
    if len(value) >= GLUE_BYTES and value[0] == GLUE and value[1] in GLUE_COMPRESSIONS and _is_version(value):
        version = uuid.UUID(bytes=value[2:GLUE_BYTES])
        return f"AWS Glue's schema registry: {GLUE_COMPRESSIONS[value[1]]}, schema version {version}"
    if len(value) >= SINGLE_OBJECT_BYTES and value.startswith(SINGLE_OBJECT):
        fingerprint = int.from_bytes(value[len(SINGLE_OBJECT) : SINGLE_OBJECT_BYTES], "little")
        return f"Avro's single-object encoding: the schema's fingerprint is {fingerprint:#018x}"
    if len(value) >= LONG_ID_BYTES and value.startswith(LONG_ID):
        return f"Apicurio with ids of 8 bytes: the schema's id is {int.from_bytes(value[1:LONG_ID_BYTES])}"
    azure = value[len(AZURE_MARK) : len(AZURE_MARK) + AZURE_ID_CHARS]
    if value.startswith(AZURE_MARK) and len(azure) == AZURE_ID_CHARS and _is_hex(azure):
        return f"Azure's schema registry, in its first format: the schema's id is {azure.decode()}"
    return None


def _is_version(value: bytes) -> bool:
    """Return whether this is a real UUID of Glue.

    A message of our registry with a damaged magic byte has zeros in its place.
    """
    return value[2] != 0 or (value[8] >> 4 == 4 and value[10] >> 6 == 0b10)


def _cloudera(value: bytes) -> str | None:
    """Describe a message of Cloudera's registry.

    Ids and versions of a few digits leave most bytes zero, which is rare in other formats.
    """
    match value[:1]:
        case b"\x01" if len(value) >= 13 and value[1:5] == bytes(4) and value[9:11] == bytes(2):
            metadata, version = struct.unpack(">qi", value[1:13])
            return f"a message of Cloudera's schema registry (metadata id {metadata}, version {version})"
        case b"\x02" if len(value) >= 9 and value[1:5] == bytes(4):
            return f"a message of Cloudera's schema registry (schema version id {int.from_bytes(value[1:9])})"
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return False
    return True


def _is_hex(digits: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in digits)
