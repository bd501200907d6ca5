"""Wire bytes -> events or typed reasons, in the JVM."""

import json
import random
import struct
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from streaming.events.decode import decode
from tests.unit.streaming.wire_messages import ID_V1, V1, V2, WRITERS, encoded, kafka_rows

GOOD_V1, GOOD_V2 = encoded(V1), encoded(V2, event_id="e-1")
HEADER_V1 = wire.header(ID_V1)
# A string length of 2e9, as a zig-zag varint: without Avro's limits the decoder allocates it.
HUGE_LENGTH = b"\x80\xd0\xac\xf3\x0e"
LARGEST_LONG = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"

BROKEN: dict[str, tuple[bytes | None, str]] = {
    "null value": (None, "empty"),
    "empty": (b"", "empty"),
    "one byte": (b"\x00", "short"),
    "four bytes": (GOOD_V1[:4], "short"),
    "header only": (HEADER_V1, "undecodable"),
    "wrong magic byte": (b"\x01" + GOOD_V1[1:], "wrong_magic_byte"),
    "plain JSON": (b'{"ad_id": "ad_1"}', "wrong_magic_byte"),
    "unknown schema id": (wire.frame(999, GOOD_V1[5:]), "unknown_schema_id"),
    "truncated in the last field": (GOOD_V1[:-1], "undecodable"),
    "truncated in the string": (GOOD_V1[:8], "undecodable"),
    "one byte too many": (GOOD_V1 + b"\x00", "trailing_bytes"),
    "another message behind it": (GOOD_V2 + GOOD_V2, "trailing_bytes"),
    "string of 2e9 bytes": (HEADER_V1 + HUGE_LENGTH + b"abc", "undecodable"),
    "negative string length": (HEADER_V1 + b"\x01" + GOOD_V1[6:], "undecodable"),
    "unknown union branch": (GOOD_V2[: -len(b"\x02\x06e-1")] + b"\x08", "undecodable"),
    "time beyond the calendar": (
        HEADER_V1 + b"\x08ad_1" + LARGEST_LONG + b"\x02\x02" + struct.pack("<d", 1.0),
        "undecodable",
    ),
}


@pytest.fixture(scope="module")
def problems(spark: SparkSession) -> dict[str, str | None]:
    rows = decode(kafka_rows(spark, [value for value, _ in BROKEN.values()]), WRITERS, V2).orderBy("offset").collect()
    return dict(zip(BROKEN, [row["problem"] for row in rows], strict=True))


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_message_gets_its_typed_reason(kind: str, problems: dict[str, str | None]) -> None:
    assert problems[kind] == BROKEN[kind][1]


def test_each_message_is_read_with_the_schema_that_wrote_it(spark: SparkSession) -> None:
    rows = decode(kafka_rows(spark, [GOOD_V1, GOOD_V2]), WRITERS, V2).orderBy("offset").collect()
    assert [row["problem"] for row in rows] == [None, None]
    first, second = (row["event"].asDict() for row in rows)
    assert first | {"timestamp": None} == {
        "ad_id": "ad_1", "timestamp": None, "clicks": 1, "views": 4, "cost": 0.5, "event_id": None,
    }  # fmt: skip
    assert second["event_id"] == "e-1"


def test_a_newer_writers_extra_field_is_ignored(spark: SparkSession) -> None:
    extra = {"name": "country", "type": ["null", "string"], "default": None}
    newer = {**V2.schema, "fields": [*V2.schema["fields"], extra]}
    contract = contracts.Contract(V2.subject, 3, json.dumps(newer))
    value = wire.frame(12, GOOD_V2[5:] + b"\x02\x04DE")
    row = decode(kafka_rows(spark, [value]), {**WRITERS, 12: contract}, V2).collect()[0]
    assert (row["problem"], row["event"]["event_id"]) == (None, "e-1")


def test_bytes_behind_the_fields_of_a_newer_writer_are_seen_and_so_is_text_in_them_that_is_no_utf8(
    spark: SparkSession,
) -> None:
    extra = [
        {"name": "country", "type": ["null", "string"], "default": None},
        {"name": "grade", "type": "int", "default": 0},
    ]
    newer = contracts.Contract(V2.subject, 3, json.dumps({**V2.schema, "fields": [*V2.schema["fields"], *extra]}))
    values = [wire.frame(12, GOOD_V2[5:] + rest) for rest in (b"\x00\x02", b"\x00\x02?", b"\x02\x02\xff\x02")]
    rows = decode(kafka_rows(spark, values), {**WRITERS, 12: newer}, V2).orderBy("offset").collect()
    assert [row["problem"] for row in rows] == [None, "trailing_bytes", "undecodable"]
    assert [field["name"] for field in V2.schema["fields"]] == rows[0]["event"].__fields__


def test_an_int_of_more_than_32_bits_is_not_cut_to_size(spark: SparkSession) -> None:
    # An int of 2^33 + 2^30 has as many bytes as 2^30. Avro cuts it to 2^30.
    wrong = HEADER_V1 + b"\x08ad_1" + b"\x02" + b"\x80\x80\x80\x80\x48" + b"\x02" + struct.pack("<d", 1.0)
    largest = HEADER_V1 + b"\x08ad_1" + b"\x02" + b"\xfe\xff\xff\xff\x0f" + b"\x02" + struct.pack("<d", 1.0)
    rows = decode(kafka_rows(spark, [wrong, largest]), WRITERS, V2).orderBy("offset").collect()
    assert [(row["problem"], row["event"]["clicks"]) for row in rows] == [("undecodable", None), (None, 2**31 - 1)]


def test_any_value_that_avro_can_write_passes_the_length_check(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    int_edges = [edge + step for bits in range(6, 31, 6) for edge in (2**bits, -(2**bits)) for step in (-1, 0, 1)]
    values = [
        encoded(
            rng.choice([V1, V2]),
            ad_id="".join(chr(rng.choice([65, 0xE9, 0x20AC, 0x1F600])) for _ in range(rng.choice([0, 1, 63, 64, 70]))),
            timestamp=datetime.fromtimestamp(rng.randint(-(10**10), 10**11) / 1_000, UTC),
            clicks=clicks,
            views=rng.choice([0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31)]),
            cost=rng.choice([0.0, -0.0, 1e300, float("inf"), rng.random()]),
            event_id=rng.choice([None, "", "x" * 8192]),
        )
        for clicks in int_edges
    ]  # fmt: skip
    rows = decode(kafka_rows(spark, values), WRITERS, V2).collect()
    assert [row["problem"] for row in rows] == [None] * len(values)


def test_random_bytes_behind_a_good_header_never_stop_the_query(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    values = [HEADER_V1 + rng.randbytes(rng.randint(0, 60)) for _ in range(2_000)]
    rows = decode(kafka_rows(spark, values), WRITERS, V2).select("problem").collect()
    assert len(rows) == len(values)
    assert {row["problem"] for row in rows} <= {None, "undecodable", "trailing_bytes"}
