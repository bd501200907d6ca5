"""The program names messages of other wire formats, and does not mistake the registry's own for one of them."""

import re
import struct
import uuid

import pytest

from common.avro import wire
from common.avro.wire_formats import looks_like, other_registry

GUID = uuid.UUID("3f2c9a3e-6d1b-4c58-9a51-0f5f3f1f2a10")
ZEROS = uuid.UUID("00000000-0000-4000-8000-000000000001")
EVENT = b"\x08ad-1\x80\x80\xf2\x8e\xe7d\x02\x04" + bytes(8) + b"\x00"

BY_BYTES = {
    "Glue": (b"\x03\x00" + GUID.bytes + EVENT, f"AWS Glue's schema registry: not compressed, schema version {GUID}"),
    "Glue, zlib": (b"\x03\x05" + GUID.bytes + b"x\x9c", f"Glue's schema registry: compressed with zlib, .* {GUID}"),
    "Glue, zeros": (b"\x03\x00" + ZEROS.bytes + EVENT, f"Glue's schema registry: .* {ZEROS}"),
    "Apicurio, 8 bytes": (
        b"\x00" + struct.pack(">q", 77) + EVENT,
        "Apicurio with ids of 8 bytes: .* id is 77",
    ),
    "Azure's first": (bytes(4) + GUID.hex.encode() + EVENT, f"Azure's schema registry, .* id is {GUID.hex}"),
    "single object": (b"\xc3\x01" + struct.pack("<Q", 0xABC) + EVENT, "single-object encoding: .* 0x0000000000000abc"),
}
BY_HEADER = {
    "Azure": ("content-type", b"avro/binary+" + GUID.hex.encode(), f"Azure Event Hubs.*avro/binary.{GUID.hex}"),
    "Azure, capitals": ("Content-Type", b"avro/binary+" + GUID.hex.encode(), "Azure Event Hubs"),
    "Apicurio, global id": ("apicurio.value.globalId", struct.pack(">q", 9), r"Apicurio with ids in headers: .*\(9\)"),
    "Apicurio, content id": ("apicurio.value.contentId", struct.pack(">q", 4), r"apicurio.value.contentId .*\(4\)"),
    "Apicurio, artifact": ("apicurio.value.artifactId", b"ads", r"apicurio.value.artifactId .*\(ads\)"),
}
LOOKS = {
    "JSON": (b' {"ad_id": "x"}', "JSON"),
    "a list of JSON": (b"[1, 2]", "JSON"),
    "JSON behind a mark": ('\ufeff{"a": 1}'.encode(), "JSON"),
    "cut JSON": (b'{"ad_id": "x', "text that begins as JSON does"),
    "CSV": (b"ad-1;1;2\n", r"text \('ad-1;1;2.n'\)"),
    "a file": (b"Obj\x01\x04\x16avro.schema", "an Avro object container file"),
    "Java": (b"\xac\xed\x00\x05sr", "an object of Java's own serialization"),
    "gzip": (b"\x1f\x8b\x08\x00", "data compressed with gzip"),
    "zstd": (b"\x28\xb5\x2f\xfd\x00", "data compressed with zstd"),
    "Cloudera, 1": (b"\x01" + struct.pack(">qi", 5, 2) + EVENT, "Cloudera's .*metadata id 5, version 2"),
    "Cloudera, 2": (b"\x02" + struct.pack(">q", 6) + EVENT, "Cloudera's .*schema version id 6"),
}


@pytest.mark.parametrize(("value", "said"), BY_BYTES.values(), ids=BY_BYTES)
def test_the_first_bytes_name_another_registry(value: bytes, said: str) -> None:
    matches(said, other_registry(value))


@pytest.mark.parametrize(("name", "content", "said"), BY_HEADER.values(), ids=BY_HEADER)
def test_a_header_names_another_registry(name: str, content: bytes, said: str) -> None:
    matches(said, other_registry(EVENT, [("trace", None), (name, content)]))


@pytest.mark.parametrize(("value", "said"), LOOKS.values(), ids=LOOKS)
def test_other_values_are_guessed_at(value: bytes, said: str) -> None:
    assert other_registry(value) is None
    matches(said, looks_like(value))


@pytest.mark.parametrize("schema_id", [1, 47, 103, 2**24, 2**31 - 1])
def test_the_registrys_own_format_is_no_other(schema_id: int) -> None:
    value = wire.frame(schema_id, EVENT)
    assert other_registry(value) is None
    assert other_registry(value, [("content-type", b"application/json"), ("apicurio.key.globalId", bytes(8))]) is None
    assert looks_like(value) is None
    assert other_registry(b"\x03" + value[1:]) is None or value[2]


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x03", b"\xc3\x01", b"\x03\x00" + bytes(15), bytes(5), b"\xff\xfe"])
def test_few_bytes_say_nothing_of_another_registry(value: bytes) -> None:
    assert other_registry(value) is None
    assert looks_like(value) is None or "Cloudera" in str(looks_like(value))


def matches(pattern: str, said: str | None) -> None:
    assert said is not None
    assert re.search(pattern, said), said
