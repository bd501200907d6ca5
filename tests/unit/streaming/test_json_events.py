"""JSON messages follow the same contract, and the same rules refuse them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from common import contracts
from streaming.events.decode import decode
from streaming.events.judge import judge
from streaming.micro_batch.counting import counted
from streaming.sources import Folder
from tests.unit.streaming.wire_messages import NOW, framed, kafka_rows

[READINGS] = contracts.history("sensor_readings")
[PAYMENTS] = contracts.history("transactions")


def test_json_and_avro_of_one_topic_give_the_same_events(spark: SparkSession) -> None:
    avro = framed(READINGS, 5, {"sensor_id": "s1", "temperature": 71.5, "timestamp": NOW})
    json = b'{"timestamp": "2026-03-01T12:00:00.000Z", "sensor_id": "s1", "temperature": 71.5, "more": [1]}'
    decoded = decode(kafka_rows(spark, [avro, json]), {5: READINGS}, READINGS, json=True)
    first, second = counted(judge(decoded, READINGS)).drop("position").collect()
    assert first == second


def test_a_time_is_iso_8601_or_epoch_seconds(spark: SparkSession) -> None:
    times = {
        '"2026-03-01T12:00:00Z"': NOW,
        '"2026-03-01T13:00:00+01:00"': NOW,
        '"2026-03-01T12:00:00"': NOW,
        '"2026-03-01T12:00:00.250Z"': NOW + timedelta(milliseconds=250),
        "1700000000": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    }
    values = [
        f'{{"userId": "u", "transactionId": "t", "transactionTime": {time}, "amount": 1}}'.encode() for time in times
    ]
    decoded = decode(kafka_rows(spark, values), {}, PAYMENTS, json=True).orderBy("offset")
    found = [(row["problem"], row["event"]["transactionTime"].astimezone(UTC)) for row in decoded.collect()]
    assert found == [(None, time) for time in times.values()]


def test_json_that_does_not_fit_the_contract_is_undecodable_and_an_empty_field_has_its_own_reason(
    spark: SparkSession,
) -> None:
    values = {
        b'{"sensor_id": "s1", "temperature": "warm", "timestamp": "2026-03-01T12:00:00Z"}': "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5, "timestamp": "yesterday"}': "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5}': "undecodable",
        b'{"sensor_id": "s1", "temperature": 7.5, "timest': "undecodable",
        b'{"sensor_id": "", "temperature": 7.5, "timestamp": "2026-03-01T12:00:00Z"}': "sensor_id_empty",
        b'{"sensor_id": "s1", "temperature": NaN, "timestamp": "2026-03-01T12:00:00Z"}': "temperature_not_finite",
        b"[1, 2, 3, 4]": "not_json",
    }
    decoded = decode(kafka_rows(spark, list(values)), {}, READINGS, json=True)
    outcomes = [row["outcome"] for row in judge(decoded, READINGS).orderBy("offset").collect()]
    assert outcomes == list(values.values())


def reading(**changes: str) -> bytes:
    fields = {"sensor_id": '"s1"', "temperature": "7.5", "timestamp": '"2026-03-01T12:00:00Z"', **changes}
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}").encode()


def test_an_object_that_would_be_read_as_something_else_is_undecodable(spark: SparkSession) -> None:
    values = {
        reading() + b" \n": None,
        reading() + b" x": "undecodable",
        reading() + reading(): "undecodable",
        reading() + b"}": "undecodable",
        reading().replace(b"s1", b"s\xff"): "undecodable",
        reading().replace(b"s1", b"\xed\xa0\x80"): "undecodable",
        reading(sensor_id=r'"\ud800"'): "undecodable",
        reading(sensor_id=r'"a\\\udc00b"'): "undecodable",
        reading(sensor_id=r'"\udc00\ud800"'): "undecodable",
        reading(sensor_id=r'"\ud83d\ude00"'): None,
        reading(sensor_id=r'"\\ud800"'): None,
        reading(sensor_id="'s1'"): "undecodable",
        reading(timestamp='"12:30"'): "undecodable",
        reading(timestamp='"T12:30"'): "undecodable",
        reading(timestamp='"2026-03"'): "undecodable",
        reading(timestamp='"2026-03-01"'): None,
        reading(timestamp=r'"2026-03-01\n"'): "undecodable",
        reading(timestamp=r'"1700000000\n"'): "undecodable",
        reading(timestamp='"2026-03-01T14:00:00+0200"'): None,
        reading(timestamp='"2026-03-01T24:00:00"'): "undecodable",
    }
    decoded = decode(kafka_rows(spark, list(values)), {}, READINGS, json=True).orderBy("offset")
    assert dict(zip(values, [row["problem"] for row in decoded.collect()], strict=True)) == values


def test_a_job_that_takes_avro_only_refuses_json(spark: SparkSession) -> None:
    decoded = decode(kafka_rows(spark, [b'{"sensor_id": "s1"}']), {}, READINGS)
    assert [row["problem"] for row in decoded.collect()] == ["wrong_magic_byte"]


def test_the_lines_of_files_become_messages_that_arrived_when_the_file_was_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "a.json").write_text(
        "\ufeff"
        '{"sensor_id": "s1", "temperature": 1.0, "timestamp": "2026-03-01T12:00:00Z"}\n\n'
        '{"sensor_id": "s2", "temperature": 2.0, "timestamp": "2999-01-01T00:00:00Z"}\nnonsense\n'
    )
    seen: list[tuple[int, str | None, str | None]] = []
    stream = judge(decode(Folder(folder).stream(spark), {}, READINGS, json=True), READINGS)
    query = (
        stream.writeStream.trigger(availableNow=True)
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .foreachBatch(
            lambda rows, _batch: seen.extend(
                tuple(row) for row in rows.select("offset", "event.sensor_id", "outcome").collect()
            )
        )
        .start()
    )
    query.awaitTermination()
    assert seen == [(1, "s1", None), (3, "s2", "timestamp_ahead"), (4, None, "not_json")]
