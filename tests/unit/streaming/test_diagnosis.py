"""`dead-letters explain` finds in plain Python the same reason as the job in Spark."""

import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from adstream.dead_letters.diagnosis import Diagnoser, Diagnosis, header_id
from common import contracts
from common.errors import SchemaNotFound
from common.reasons import SCHEMA_ID_IN_HEADER, VALUE_SCHEMA_ID_HEADER
from common.registry import Registered
from producer import broken
from streaming.events.decode import decode
from streaming.events.judge import judge
from tests.unit.streaming.test_decode import BROKEN
from tests.unit.streaming.test_judge import RULES
from tests.unit.streaming.wire_messages import ID_V1, ID_V2, NOW, V1, V2, WRITERS, encoded, framed, kafka_rows

ARRIVAL = int(NOW.timestamp() * 1_000)
GUID = b"\x01" + bytes(range(16))


def nothing_else(schema_id: int) -> str:
    raise SchemaNotFound(f"id {schema_id}")


def diagnoser(*, json: bool = False) -> Diagnoser:
    writers = {found: Registered(found, contract.version, contract.text) for found, contract in WRITERS.items()}
    return Diagnoser("ads_data-value", writers, nothing_else, V2, takes_json=json)


def diagnosed(value: bytes | None, **headers: bytes) -> Diagnosis:
    return diagnoser()(value, list(headers.items()), ARRIVAL)


def outcomes(messages: DataFrame) -> list[str | None]:
    judged = judge(decode(messages, WRITERS, V2), V2)
    return [row["outcome"] for row in judged.select("offset", "outcome").orderBy("offset").collect()]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_message_has_the_jobs_reason_and_an_error_to_read(kind: str) -> None:
    value, reason = BROKEN[kind]
    found = diagnosed(value)
    assert found.reason == reason
    assert found.problem


@pytest.mark.parametrize(("changes", "reason"), [rule for rule in RULES if rule[1] != "late"])
def test_an_event_that_breaks_a_rule_has_the_jobs_reason_and_the_value(
    changes: dict[str, object], reason: str | None
) -> None:
    found = diagnosed(encoded(V2, **changes))
    assert found.reason == reason
    assert (found.violation is None) == (reason is None)
    if found.violation:
        assert found.violation.field in changes
        assert repr(found.violation.value) in found.problem


def test_random_damage_gets_the_same_reason_as_in_spark(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    values = [encoded(version, ad_id="ad", clicks=rng.randrange(9_999)) for version in (V1, V2) for _ in range(200)]
    values = [rng.choice(list(broken.BYTES.values()))(value, rng) for value in values]
    for _ in range(800):
        good = bytearray(encoded(V2, event_id=rng.choice([None, "e"]), views=rng.randrange(300)))
        for _ in range(rng.randrange(1, 4)):
            good[rng.randrange(len(good))] = rng.randrange(256)
        values.append(bytes(good))
    found = [diagnosed(value) for value in values]
    there = outcomes(kafka_rows(spark, values))
    differ = [
        (value.hex(), mine.problem, spark_says)
        for value, mine, spark_says in zip(values, found, there, strict=True)
        if mine.reason != spark_says
    ]
    assert differ == []
    assert len({each.reason for each in found}) > 8


def test_every_field_is_shown_up_to_the_one_that_cannot_be_read() -> None:
    whole = encoded(V1)
    found = diagnosed(whole)
    assert [(each.name, each.start, each.end) for each in found.fields] == [
        ("ad_id", 5, 10), ("timestamp", 10, 16), ("clicks", 16, 17), ("views", 17, 18), ("cost", 18, 26),
    ]  # fmt: skip
    cut = diagnosed(whole[:-1])
    assert [each.name for each in cut.fields if not each.error] == ["ad_id", "timestamp", "clicks", "views"]
    assert cut.fields[-1].error
    assert "cost, from byte 18 on, cannot be read" in cut.problem


def test_a_schema_id_in_a_header_has_a_reason_of_its_own_when_the_batch_is_read_again(spark: SparkSession) -> None:
    bare, good = encoded(V2, event_id="e")[5:], encoded(V2)
    values = [bare, bare, good, b"", b"\x00"]
    here = F.array(F.struct(F.lit(VALUE_SCHEMA_ID_HEADER).alias("key"), F.lit(GUID).alias("value")))
    messages = kafka_rows(spark, values).withColumn("headers", F.when(F.col("offset") != 1, here))
    reasons = [SCHEMA_ID_IN_HEADER, "wrong_magic_byte", None, "empty", SCHEMA_ID_IN_HEADER]
    assert outcomes(messages) == reasons
    headers = [{VALUE_SCHEMA_ID_HEADER: GUID} if at != 1 else {} for at in range(len(values))]
    assert [diagnosed(value, **each).reason for value, each in zip(values, headers, strict=True)] == reasons
    assert "can be read as plain Avro of ads_data-value version 2" in diagnosed(bare, **headers[0]).problem


def test_the_forms_of_a_schema_id_in_a_header() -> None:
    assert header_id(GUID) == "GUID 00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert header_id(b"\x00\x00\x00\x00\x07") == "id 7"
    assert header_id(b"7") == "1 bytes that are no schema id"
    assert header_id(None) == "0 bytes that are no schema id"


def test_what_the_registry_knows_of_an_id() -> None:
    value = framed(V2, 99, {"ad_id": "a", "timestamp": NOW, "clicks": 1, "views": 1, "cost": 1.0, "event_id": None})
    assert diagnosed(value).problem == "the registry does not know schema id 99"
    elsewhere = Diagnoser("ads_data-value", {}, lambda _id: V1.text, V2, takes_json=False)(value, [], ARRIVAL)
    assert elsewhere.problem == "the registry knows schema id 99 (AdEvent), but not as a version of ads_data-value"
    assert {ID_V1, ID_V2} == set(diagnoser().writers)


def test_json_messages_have_the_jobs_reason() -> None:
    [reader] = contracts.history("sensor_readings")
    json = Diagnoser("sensor_readings-value", {}, nothing_else, reader, takes_json=True)
    time = b'"timestamp": "2026-03-01T12:00:00Z"}'
    cases = {
        b'{"sensor_id": "s1", "temperature": 7.5, ' + time: None,
        b'{"sensor_id": "s1", "temperature": "warm", ' + time: "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5, "timestamp": "yesterday"}': "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5}': "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5, "timest': "undecodable",
        b'{"sensor_id": "", "temperature": 7.5, ' + time: "sensor_id_empty",
        b'{"sensor_id": "s1", "temperature": NaN, ' + time: "temperature_not_finite",
    }
    assert {value: json(value, [], ARRIVAL).reason for value in cases} == cases
