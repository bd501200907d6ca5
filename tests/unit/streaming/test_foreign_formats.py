"""Spark and plain Python agree on messages in other registries' formats."""

import random

import pytest
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from common.avro.wire_formats import other_registry
from common.reasons import OTHER_WIRE_FORMAT, SCHEMA_ID_IN_HEADER, VALUE_SCHEMA_ID_HEADER
from streaming.events.decode import decode
from tests.unit.test_wire_formats import BY_BYTES, BY_HEADER, EVENT, LOOKS

Headers = list[tuple[str, bytes | None]]
OTHERS: list[Headers] = [[], [("trace", None)], [("content-type", b"application/json")], [("content-type", None)]]


def messages(rng: random.Random) -> list[tuple[bytes, Headers]]:
    values = [value for value, _ in (*BY_BYTES.values(), *LOOKS.values())]
    values += [wire.frame(each, EVENT) for each in (0, 5, 48, 2**31)]
    values += [value[: rng.randrange(len(value) + 1)] for value in values for _ in range(6)]
    values += [bytes([rng.choice((0, 1, 3, 0xC3)), rng.choice((0, 1, 5)), *rng.randbytes(rng.randrange(60))])
               for _ in range(200)]  # fmt: skip
    by_header: list[Headers] = [[(name, content)] for name, content, _ in BY_HEADER.values()]
    return [(value, rng.choice(OTHERS)) for value in values] + [(EVENT, each) for each in (*by_header, *OTHERS)]


@pytest.mark.parametrize("seed", [20261128])
def test_the_jobs_reason_is_the_plain_one(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    print("seed", seed)
    sent = [
        *messages(rng),
        (EVENT, [(VALUE_SCHEMA_ID_HEADER, b"\x00\x00\x00\x00\x05"), ("apicurio.value.globalId", b"")]),
    ]
    rows = [(number, value, headers) for number, (value, headers) in enumerate(sent)]
    frame = spark.createDataFrame(rows, "number int, value binary, headers array<struct<key: string, value: binary>>")
    [first, _] = contracts.history("ads_data")
    found = decode(frame, {5: first}, first).select("number", "problem").collect()
    said = {row["number"]: row["problem"] == OTHER_WIRE_FORMAT for row in found}
    for number, value, headers in rows[:-1]:
        known = value.startswith(wire.header(5)) or not value
        assert said[number] == (not known and other_registry(value, headers) is not None), (value, headers)
    assert {row["problem"] for row in found if row["number"] == len(rows) - 1} == {SCHEMA_ID_IN_HEADER}
    assert sum(said.values()) > len(BY_BYTES) + len(BY_HEADER) - 1
