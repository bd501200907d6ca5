"""Dead letters on real services: counted, explained, repaired and sent back once; the ledger holds throughout."""

import json
import re
from dataclasses import replace

import psutil
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from adstream.dead_letters.letters import letter_of
from common import contracts
from common.kafka import end_offsets
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder
from tests.e2e.commands import adstream, everything_on, limit_messages, one_line
from tests.e2e.pipeline import Pipeline

# Each reason of the producer's broken messages -> a text that `explain` must print for one of them.
EXPLAINED = {
    "empty": "the value has no bytes",
    "short": "of the 5 bytes of a header",
    "wrong_magic_byte": "and the registry's wire format with 0x00",
    "unknown_schema_id": "the registry does not know schema id",
    "undecodable": "cannot be read",
    "trailing_bytes": "bytes follow the event",
    "ad_id_empty": "ad_id is '', and must be not empty",
    "clicks_negative": "and must be 0 or more",
    "cost_not_finite": "and must be a number, and finite",
    "timestamp_ahead": "and must be at most 1 minute ahead",
}


def said(*arguments: str) -> str:
    done = adstream("dead-letters", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed(*arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in said("list", "--json", *arguments).splitlines()]


def send(pipeline: Pipeline, value: bytes, key: bytes, **headers: bytes) -> None:
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    producer.produce(pipeline.settings.topic.ads, value, key, headers=list(headers.items()))
    assert producer.flush(30) == 0


def test_letters_are_listed_explained_and_sent_back_once(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--count", "1500", "--over", "2m", "--ads", "5", "--broken", "0.2")
    bare = Encoder(
        RegistryClient(pipeline.settings.registry).latest(f"{pipeline.settings.topic.ads}-value"),
        contracts.latest("ads_data"),
    )({"ad_id": "ad-9", "timestamp": 0, "clicks": 1, "views": 1, "cost": 0.1, "event_id": "guid"})[5:]
    send(pipeline, bare, b"ad-9", __value_schema_id=b"\x01" + bytes(range(16)))
    pipeline.run(spark)
    before = pipeline.verified().fates
    letters = listed()
    by_reason = {str(letter["reason"]): str(letter["place"]) for letter in letters}
    assert len(letters) == len(pipeline.dead_letters()) == before["dead"] > 200

    counts = said("list")
    assert f"{before['dead']:,} dead letters" in counts
    for reason in by_reason:
        number = sum(letter["reason"] == reason for letter in letters)
        assert re.search(rf"^{reason} +{number} +0$", counts, re.MULTILINE), reason
    assert len(listed("--reason", "short", "--limit", "2")) == 2
    assert listed("--to", "1h") == []
    assert "did you mean clicks_negative" in one_line(adstream("dead-letters", "list", "--reason", "click_negative"))

    for reason, wanted in EXPLAINED.items():
        text = said("explain", by_reason[reason])
        assert wanted in text, text
        assert "what to do" in text
    header = said("explain", by_reason["schema_id_in_header"])
    assert "GUID 00010203-0405-0607-0809-0a0b0c0d0e0f" in header
    assert "can be read as plain Avro" in header

    place = by_reason["clicks_negative"]
    dry = said("replay", place, "--set", "clicks=0", "--dry-run")
    assert "1 can be used now" in dry
    assert f"would be sent to {pipeline.settings.kafka.where}" in dry
    refused = one_line(adstream("dead-letters", "replay", place, "--yes"))
    assert "clicks_negative" in refused
    assert "no field klicks; did you mean clicks?" in one_line(
        adstream("dead-letters", "replay", place, "--set", "klicks=0", "--yes")
    )
    assert "cannot be read" in one_line(
        adstream("dead-letters", "replay", by_reason["undecodable"], "--set", "clicks=0", "--yes")
    )
    assert "nobody is there to say yes" in one_line(adstream("dead-letters", "replay", place, "--set", "clicks=0"))
    assert len(pipeline.messages()) == 1501

    assert f"{place} -> " in said("replay", place, "--set", "clicks=0", "--yes")
    assert "was sent back already" in one_line(adstream("dead-letters", "replay", place, "--set", "clicks=0", "--yes"))
    sent = ("adstream.replayed_from", place.encode())
    [again] = [message for message in pipeline.messages() if sent in headers(message)]
    [letter] = [found for found in map(letter_of, pipeline.dead_letters()) if found and str(found.place) == place]
    assert again.key() == letter.key

    pipeline.run(spark)
    after = pipeline.verified().fates
    assert after == {**before, "counted": before["counted"] + 1}
    assert "lies at" in said("explain", place)
    assert [found["place"] for found in listed() if found["replayed"]] == [place]


def headers(message: object) -> list[tuple[str, bytes]]:
    return message.headers() or []  # type: ignore[attr-defined]


@pytest.mark.thorough
def test_messages_of_a_schema_registered_since_go_back_all_at_once(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_REGISTRY_OTHER_SUBJECTS", "false")
    pipeline = replace(pipeline, settings=Settings())
    settings = pipeline.settings
    registry = RegistryClient(settings.registry)
    newest = contracts.latest("ads_data")
    text = json.dumps({**newest.schema, "doc": f"Written by somebody else, for {settings.topic.ads}."})
    # The registry gives one id per schema. This id belongs to another subject until the topic's subject has the schema,
    # too.
    other = replace(newest, subject=f"other-{settings.topic.ads}-value", text=text)
    registry.register(other)
    encode = Encoder(registry.latest(other.subject), newest)
    pipeline.produce("--count", "20", "--over", "1m")
    now = max(message.timestamp()[1] for message in pipeline.messages())
    for _ in range(3):
        event = {"ad_id": "ad-7", "timestamp": now, "clicks": 1, "views": 2, "cost": 0.5, "event_id": None}
        send(pipeline, encode(event), b"ad-7", origin=b"elsewhere")
    old = {**event, "timestamp": now - 3_600_000, "event_id": "old"}
    send(pipeline, encode(old), b"ad-7")
    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": 20, "duplicate": 0, "late": 0, "dead": 4}
    place = str(listed()[0]["place"])
    assert "but not as a version of" in said("explain", place)
    assert "none of these can be sent back" in adstream("dead-letters", "replay", "--all", "--yes").stderr

    registry.register(replace(other, subject=f"{settings.topic.ads}-value"))
    assert "It can be used now" in said("explain", place)
    answer = said("replay", "--reason", "unknown_schema_id", "--yes")
    assert "4 can be used now" in answer
    assert "1 of them will be late" in answer
    assert "4 sent back, and marked" in answer
    assert "4 were sent back before" in adstream("dead-letters", "replay", "--all", "--yes").stdout
    assert sum(end_offsets(settings, settings.topic.ads).values()) == 28
    assert [b"elsewhere" in dict(headers(message)).values() for message in pipeline.messages()].count(True) == 6

    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": 23, "duplicate": 0, "late": 1, "dead": 4}
    marks = everything_on(settings, f"{settings.topic.dead_letters}.replayed")
    assert {(mark.key() or b"").decode() for mark in marks} == {str(letter["place"]) for letter in listed()}


def test_a_message_that_was_sent_and_not_marked_is_sent_again_and_counted_once(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    settings = pipeline.settings
    marks = f"{settings.topic.dead_letters}.replayed"
    pipeline.produce("--count", "20", "--over", "1m")
    now = max(message.timestamp()[1] for message in pipeline.messages())
    newest = RegistryClient(settings.registry).latest(f"{settings.topic.ads}-value")
    event = {"ad_id": "ad-7", "timestamp": now, "clicks": -1, "views": 2, "cost": 0.5, "event_id": "once"}
    send(pipeline, Encoder(newest, contracts.latest("ads_data"))(event), b"ad-7")
    pipeline.run(spark)
    [place] = [str(letter["place"]) for letter in listed()]

    limit_messages(settings, marks, 10)
    line = one_line(adstream("dead-letters", "replay", place, "--set", "clicks=0", "--yes"))
    assert f"1 were sent but not marked ({place} first)" in line
    limit_messages(settings, marks, 1_000_000)
    assert "1 sent back, and marked" in said("replay", place, "--set", "clicks=0", "--yes")
    assert sum(end_offsets(settings, settings.topic.ads).values()) == 23

    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": 21, "duplicate": 1, "late": 0, "dead": 1}


def test_batches_with_dead_letters_are_read_again_by_the_same_consumers(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new consumer for each read would stay open for five minutes, with its fetched messages and two connections."""
    monkeypatch.setenv("ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH", "50")
    pipeline.produce("--count", "600", "--over", "1m", "--broken", "0.2")
    port = int(pipeline.settings.kafka.bootstrap_servers.rpartition(":")[2])
    driver = psutil.Process(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())

    def connections() -> set[object]:
        return {each.laddr for each in driver.net_connections() if each.raddr and each.raddr.port == port}

    before = connections()
    again = [line for line in pipeline.run(spark) if "dead-lettered" in line]
    assert len(again) >= 10, again
    # Consumers of earlier tests may end meanwhile.
    assert 0 < len(connections() - before) < 2 * len(again)
