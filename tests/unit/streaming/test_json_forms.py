"""JSON accepts the same forms of times and numbers as CSV and options, in the job and in plain Python."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.json_text import JsonProblem, from_json
from common import contracts
from common.contracts import Contract
from streaming.events.decode import decode
from streaming.events.judge import judge
from tests import forms
from tests.unit.streaming.wire_messages import NOW, kafka_rows

[READINGS] = contracts.history("sensor_readings")
[FRUIT] = contracts.history("fruit_data")
MILLIS = int(NOW.timestamp()) * 1_000

# A JSON number -> milliseconds, or None.
EPOCHS = {
    "1740139200": 1_740_139_200_000, "1000000000": 1_000_000_000_000, "9999999999": 9_999_999_999_000,
    "0": None, "17": None,
    "-1740139200": None, "20250221": None, "2025052": None, "202502211200": None, "20250221120000": None,
    "174013920": None, "17401392000": None, "1740139200000": None, "1740139200000000": None,
    "1740139200000000000": None,
    "1740139200.0": None, "1740139200.5": None, "1.7401392e9": None, "true": None, "[1740139200]": None, "{}": None,
}  # fmt: skip
# The contract's int, in JSON.
INTS = {
    "0": 0, "1": 1, "-1": -1, "-0": 0, "2147483647": 2**31 - 1, "-2147483648": -(2**31), "2147483648": None,
    "-2147483649": None, "99999999999999999999": None, "1.0": None, "1e3": None, "1E0": None, '"1"': None, "true": None,
    "01": None, "+1": None, "0x10": None, "1_000": None, "1,000": None, "\u0661": None, "NaN": None, '""': None,
    "[1]": None,
    '"\u0661"': None,
}  # fmt: skip
# The contract's double, in JSON. An infinite number is not undecodable: it has a reason of its own.
DOUBLES = {
    "0": 0.0, "1": 1.0, "-0.5": -0.5, "0.75": 0.75, "1e3": 1_000.0, "1E+03": 1_000.0, "0.1": 0.1, "5e-324": 5e-324,
    ".5": None, "5.": None, "01.5": None, "+1.5": None, "1_0.5": None, "0,5": None, "1f": None, "0x1p3": None,
    '"1.5"': None, '"warm"': None, "true": None, "\u0661.5": None, '"\u0661"': None, "nan": None, "inf": None,
}  # fmt: skip
NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', '"Infinity"', '"-Infinity"', "9" * 400]
TOO_LARGE = ["1000000.5", "1e300", "9" * 30]


def reading(temperature: str = "7.5", timestamp: str = '"2026-03-01T12:00:00Z"') -> bytes:
    return f'{{"sensor_id": "s", "temperature": {temperature}, "timestamp": {timestamp}}}'.encode()


def fruit(number: str) -> bytes:
    return f'{{"id": {number}, "value": "fig", "timestamp": "2026-03-01T12:00:00Z"}}'.encode()


def in_spark(spark: SparkSession, values: list[bytes], contract: Contract, field: str) -> list[Any]:
    """Return the field's value in each message (times in milliseconds), or None for an undecodable message."""
    decoded = decode(kafka_rows(spark, values), {}, contract, json=True).orderBy("offset")
    value = F.col("event")[field]
    rows = decoded.select("problem", F.unix_millis(value) if field == "timestamp" else value).collect()
    assert {row[0] for row in rows} <= {None, "undecodable"}
    return [None if problem else found for problem, found in rows]


def in_python(values: list[bytes], contract: Contract, field: str) -> list[Any]:
    return [_python(value, contract, field) for value in values]


def _python(value: bytes, contract: Contract, field: str) -> Any:
    try:
        return from_json(value, contract)[field]
    except JsonProblem:
        return None


def assert_alike(spark: SparkSession, values: list[bytes], contract: Contract, field: str, expected: list[Any]) -> None:
    for found in (in_spark(spark, values, contract, field), in_python(values, contract, field)):
        wrong = [each for each in zip(values, found, expected, strict=True) if each[1] != each[2]]
        assert wrong == []


def test_times(spark: SparkSession) -> None:
    table = {json.dumps(text): millis for text, millis in forms.TIMES.items()}
    # Ten digits are seconds in a text, too.
    table |= {json.dumps(text, ensure_ascii=escaped): None for text in forms.NO_TIMES for escaped in (True, False)}
    table |= EPOCHS | {f'"{text}"': millis for text, millis in EPOCHS.items() if text[0] not in "[{"}
    values = [reading(timestamp=text) for text in table]
    assert_alike(spark, values, READINGS, "timestamp", list(table.values()))


def test_whole_numbers(spark: SparkSession) -> None:
    assert_alike(spark, [fruit(text) for text in INTS], FRUIT, "id", list(INTS.values()))


def test_numbers(spark: SparkSession) -> None:
    assert_alike(spark, [reading(text) for text in DOUBLES], READINGS, "temperature", list(DOUBLES.values()))


def test_numbers_beyond_the_bounds_have_the_same_reason(spark: SparkSession) -> None:
    values = [reading(text) for text in [*NOT_FINITE, *TOO_LARGE]]
    expected = ["temperature_not_finite"] * len(NOT_FINITE) + ["temperature_too_large"] * len(TOO_LARGE)
    judged = judge(decode(kafka_rows(spark, values), {}, READINGS, json=True), READINGS).orderBy("offset")
    assert [row["outcome"] for row in judged.select("outcome").collect()] == expected
    diagnose = Diagnoser("sensor_readings-value", {}, lambda _id: "", READINGS, takes_json=True)
    assert [diagnose(value, [], MILLIS).reason for value in values] == expected


@pytest.mark.parametrize(
    "value",
    [
        b"[1]",
        b'"text"',
        b"\xef\xbb\xbf" + reading(),
        reading().decode().encode("utf-16"),
        reading().replace(b'"s"', b'"\xff"'),
        reading().replace(b'"s"', rb'"\ud800"'),
        reading() + b"x",
        reading(temperature="1" * 1_001),
        reading().replace(b"}", b', "more": ' + b"[" * 1_001 + b"]" * 1_001 + b"}"),
    ],
    ids=range(9),
)
def test_plain_python_refuses_what_the_job_refuses(value: bytes) -> None:
    with pytest.raises(JsonProblem):
        from_json(value, READINGS)


def test_times_of_python_are_exact() -> None:
    for millis in range(1_740_139_200_000, 1_740_139_201_000):
        text = datetime.fromtimestamp(millis / 1_000, UTC).isoformat(timespec="milliseconds")
        assert from_json(reading(timestamp=f'"{text}"'), READINGS)["timestamp"] == millis
