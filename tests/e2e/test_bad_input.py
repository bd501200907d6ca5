"""Thousands of bad messages on real services: each has one fate, and none is lost."""

import json
import random
import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pyspark.sql import SparkSession

from adstream.verify.judge import Judge
from common.registry import RegistryClient
from streaming.patterns.ad_metrics import LATENESS
from tests.e2e.pipeline import Pipeline
from tests.property.payloads import Maker, Payload, Pool

COUNT = 3_000
SECONDS = 60


def writers(pipeline: Pipeline) -> dict[int, int]:
    found = RegistryClient(pipeline.settings.registry).versions(f"{pipeline.settings.topic.ads}-value")
    return {each.id: each.version for each in found}


def payloads(pipeline: Pipeline) -> list[Payload]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    pool = Pool(seed, True, ["ad"], [0.1], [0], [b"\x00", b"\xff"], 0.5)
    make = Maker(pool, writers(pipeline), int(time.time() * 1_000), pipeline.settings.topic.ads)
    return make.payloads(COUNT, large=12)


def send(pipeline: Pipeline, payloads: Sequence[Payload]) -> tuple[int, int]:
    """Send the raw bytes. Return how many the broker took, and how many were refused for their size."""
    limit = pipeline.settings.topic.max_message_bytes
    servers = pipeline.settings.kafka.bootstrap_servers
    # The producer has the topic's limit, as ours has. The number of messages per request is bounded, too.
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": limit, "batch.num.messages": 1_000})
    refusals: list[int] = []
    taken: list[Message] = []

    def report(error: KafkaError | None, message: Message) -> None:
        if error is None:
            taken.append(message)
        else:
            refusals.append(error.code())

    for each in payloads:
        try:
            producer.produce(pipeline.settings.topic.ads, each.value, each.key, on_delivery=report)
        except KafkaException as error:
            refusals.append(error.args[0].code())
        producer.poll(0)
    assert producer.flush(SECONDS) == 0
    assert set(refusals) <= {KafkaError.MSG_SIZE_TOO_LARGE}
    return len(taken), len(refusals)


def dead(pipeline: Pipeline, messages: Sequence[Message]) -> dict[tuple[int, int], Message]:
    found = RegistryClient(pipeline.settings.registry).versions(f"{pipeline.settings.topic.ads}-value")
    schemas = {each.id: json.loads(each.text) for each in found}
    judge = Judge(schemas, LATENESS)
    places = {(message.partition() or 0, message.offset() or 0): message for message in messages}
    return {
        place: message
        for place, message in places.items()
        if judge.judge(*place, message.timestamp()[1], message.value()).outcome == "dead"
    }


def letters(pipeline: Pipeline) -> dict[tuple[int, int], Message]:
    found = {}
    for letter in pipeline.dead_letters():
        headers = dict(letter.headers() or [])
        found[int(headers["adstream.partition"]), int(headers["adstream.offset"])] = letter
    return found


def same_bytes(letters: dict[tuple[int, int], Message], dead: dict[tuple[int, int], Message]) -> None:
    assert letters.keys() == dead.keys()
    for place, letter in letters.items():
        assert (letter.key(), letter.value()) == (dead[place].key(), dead[place].value()), place


def test_raw_bytes_are_each_counted_late_or_dead_and_dead_letters_hold_them_whole(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    taken, refused = send(pipeline, payloads(pipeline))
    assert taken + refused == COUNT
    assert refused > 0
    messages = pipeline.messages()
    assert len(messages) == taken
    pipeline.run(spark)
    found = pipeline.verified()
    assert sum(found.fates.values()) == taken
    assert min(found.fates[fate] for fate in ("counted", "duplicate", "late", "dead")) > 0
    same_bytes(letters(pipeline), dead(pipeline, messages))


def test_a_dead_message_as_large_as_the_broker_takes_does_not_stop_the_job(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    """A dead letter is larger than its message, because it has headers.

    The letter of a compressed message is much larger.
    """
    limit = pipeline.settings.topic.max_message_bytes
    servers, topic = pipeline.settings.kafka.bootstrap_servers, pipeline.settings.topic.ads
    large = random.Random(1).randbytes(limit - 200)
    plain = Producer({"bootstrap.servers": servers, "message.max.bytes": limit})
    plain.produce(topic, large, b"k")
    compressed = Producer({"bootstrap.servers": servers, "message.max.bytes": 32 * limit, "compression.type": "zstd"})
    compressed.produce(topic, bytes(16 * limit), b"k")
    assert plain.flush(SECONDS) == compressed.flush(SECONDS) == 0
    pipeline.produce("--count", "50", "--over", "1m")
    messages = pipeline.messages()
    assert len(messages) == 52
    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": 50, "duplicate": 0, "late": 0, "dead": 2}
    same_bytes(letters(pipeline), dead(pipeline, messages))
