"""Messages with any schema of the registry: deleted, of other subjects, with references; and other formats."""

import io
import itertools
import json
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from common.reasons import INCOMPATIBLE_SCHEMA, OTHER_WIRE_FORMAT, UNKNOWN_SCHEMA_ID, WRONG_MAGIC_BYTE
from producer.timeline import to_millis
from streaming.events.unknown_ids import other_ids
from tests.e2e.commands import adstream
from tests.e2e.lone_registry import ask, put
from tests.e2e.pipeline import Pipeline

SECOND = contracts.history("ads_data")[1]
COUNTRY = {"type": "enum", "name": "Country", "namespace": "geo", "symbols": ["CH", "DE"]}
SALE = {"type": "record", "name": "Sale", "fields": [{"name": "sale_id", "type": "string"}]}
PROTOBUF = 'syntax = "proto3"; message Ad { string ad_id = 1; }'
GUID = uuid.UUID("3f2c9a3e-6d1b-4c58-9a51-0f5f3f1f2a10")
Headers = list[tuple[str, str | bytes | None]]


@dataclass
class Topic:
    """The pipeline's topic, as other people's programs write to it."""

    pipeline: Pipeline
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def name(self) -> str:
        return self.pipeline.settings.topic.ads

    def register(self, subject: str, schema: object, **more: object) -> int:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return put(self.pipeline.settings.registry, f"{self.name}{subject}", text, **more)

    def delete(self, path: str) -> None:
        assert ask(self.pipeline.settings.registry, "DELETE", f"/subjects/{self.name}{path}").is_success

    def send(self, values: Iterable[tuple[bytes, Headers]]) -> None:
        producer = Producer({"bootstrap.servers": self.pipeline.settings.kafka.bootstrap_servers})
        for value, headers in values:
            producer.produce(self.name, value, b"key", headers=headers)
        assert producer.flush(30) == 0

    def events(self, schema_id: int, schema: Any, count: int = 1) -> list[tuple[bytes, Headers]]:
        """Return messages as another program's serializer writes them, with one click each."""
        parsed = fastavro.parse_schema(schema)
        found: list[tuple[bytes, Headers]] = []
        for number in itertools.islice(self.numbers, count):
            payload = io.BytesIO()
            event = {
                "ad_id": "ad-1", "timestamp": to_millis(datetime.now(UTC)), "clicks": 1, "views": 3, "cost": 0.5,
                "event_id": f"{number}", "country": "CH", "extra": 7, "sale_id": f"{number}",
            }  # fmt: skip
            fastavro.schemaless_writer(payload, parsed, event)
            found.append((wire.frame(schema_id, payload.getvalue()), []))
        return found

    def reasons(self) -> Counter[str]:
        letters = self.pipeline.dead_letters()
        return Counter(dict(each.headers() or [])["adstream.reason"].decode() for each in letters)

    def place_of(self, value: bytes) -> str:
        """Return the place of a message's letter, in the form that the commands take."""
        [letter] = [dict(each.headers() or []) for each in self.pipeline.dead_letters() if each.value() == value]
        return "/".join(letter[f"adstream.{part}"].decode() for part in ("topic", "partition", "offset"))


def with_field(**more: object) -> dict[str, Any]:
    schema = SECOND.schema
    schema["fields"].append(more)
    return schema


@pytest.fixture
def topic(pipeline: Pipeline) -> Topic:
    return Topic(pipeline)


def test_every_schema_that_the_registry_knows_counts(topic: Topic, spark: SparkSession) -> None:
    """The same job runs again for each new kind of message, after the kinds of its earlier runs."""
    pipeline = topic.pipeline
    deleted = with_field(name="extra", type="int", default=0)
    deleted_id = topic.register("-value", deleted)
    by_record = with_field(name="extra", type=["null", "long"], default=None)
    by_record_id = topic.register("-adstream.AdEvent", by_record)
    topic.register("-country", COUNTRY)
    referring = with_field(name="country", type=["null", "geo.Country"], default=None)
    country = [{"name": "geo.Country", "subject": f"{topic.name}-country", "version": 1}]
    referring_id = topic.register("-value", referring, references=country)
    referring["fields"][-1]["type"][1] = COUNTRY
    sale_id, protobuf_id = topic.register("-sales", SALE), topic.register("-proto", PROTOBUF, schemaType="PROTOBUF")
    topic.delete("-value/versions/3")

    topic.send(topic.events(deleted_id, deleted, 5) + topic.events(referring_id, referring, 3))
    assert not any("new schema" in line for line in pipeline.run(spark))
    garbage = [(wire.header(900_000 + number) + b"?", []) for number in range(150)]
    sale, protobuf = topic.events(sale_id, SALE)[0], (wire.frame(protobuf_id, b"\x00\x0a\x04ad-1"), [])
    bare = topic.events(1, SECOND.schema)[0][0][wire.HEADER_BYTES :]
    others: dict[str, tuple[bytes, Headers]] = {
        "AWS Glue's schema registry: not compressed, schema version": (b"\x03\x00" + GUID.bytes + bare, []),
        "AWS Glue's schema registry: compressed with zlib": (b"\x03\x05" + GUID.bytes + b"x\x9c", []),
        "Apicurio with ids of 8 bytes: the schema's id is": (struct.pack(">bq", 0, by_record_id) + bare, []),
        "Azure's schema registry, in its first format": (bytes(4) + GUID.hex.encode() + bare, []),
        "Avro's single-object encoding": (b"\xc3\x01" + bytes(8) + bare, []),
        "Azure Event Hubs' schema registry": (bare, [("content-type", b"avro/binary+" + GUID.hex.encode())]),
        "Apicurio with ids in headers": (bare + b"", [("apicurio.value.globalId", struct.pack(">q", 5))]),
    }
    topic.send([*garbage, *topic.events(by_record_id, by_record, 5), sale, protobuf, *others.values()])
    topic.send([(b'{"ad_id": "x"}', []), *garbage[:3]])
    lines = pipeline.run(spark)
    new = ", ".join(map(str, sorted((by_record_id, sale_id, protobuf_id))))
    told = f"new schema version on {topic.name}: going on with it (schema ids {new})"
    assert [line for line in lines if "new schema" in line] == [told]
    assert topic.reasons() == {
        UNKNOWN_SCHEMA_ID: 153, INCOMPATIBLE_SCHEMA: 2, OTHER_WIRE_FORMAT: len(others), WRONG_MAGIC_BYTE: 1,
    }  # fmt: skip
    found = pipeline.verified()
    assert found.fates == {"counted": 13, "duplicate": 0, "late": 0, "dead": 156 + len(others)}

    for said, (value, headers) in others.items():
        if not headers:  # the bare value is there twice
            explained = adstream("dead-letters", "explain", topic.place_of(value))
            assert explained.returncode == 0, explained.stderr
            assert said in explained.stdout
            assert "not written with a schema registry" not in explained.stdout
    for value, said in (
        (sale[0], f"{topic.name}-sales version 1"),
        (protobuf[0], f"schema id {protobuf_id} is a PROTOBUF schema, not Avro"),
        (garbage[5][0], "the registry does not know schema id 900005"),
    ):
        assert said in adstream("dead-letters", "explain", topic.place_of(value)).stdout
    shown = adstream("consume", topic.name, "--to-end")
    assert shown.returncode == 0, shown.stderr
    for said in others:
        assert said in shown.stdout
    assert f"schema id {protobuf_id} is a PROTOBUF schema, not Avro" in shown.stdout

    # A dead letter counts after a replay, once its garbage id is registered under any subject.
    refused = adstream("dead-letters", "replay", topic.place_of(garbage[7][0]), "--yes")
    assert refused.returncode == 1
    assert "the registry does not know schema id 900007" in refused.stdout + refused.stderr


def test_what_the_job_has_counted_stays_counted_when_its_subject_is_deleted(topic: Topic, spark: SparkSession) -> None:
    """Verify judges old offsets as before. A backfill finds the ids by the messages' headers."""
    schema = with_field(name="extra", type=["null", "long"], default=None)
    schema_id = topic.register("-adstream.AdEvent", schema)
    topic.send([*topic.events(schema_id, schema, 4), *topic.events(1, SECOND.schema, 0)])
    topic.pipeline.run(spark)
    topic.delete("-adstream.AdEvent")
    assert topic.pipeline.verified().fates["counted"] == 4
    rows = spark.createDataFrame([(wire.header(schema_id),), (wire.header(5),), (b"\x01",), (None,)], "value binary")
    assert other_ids(rows, {5}, 10) == [schema_id]
