"""Kafka, Cassandra and the registry fail under a running job. It loses no event and counts none twice."""

import random
import socket
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from adstream.verify.ad_metrics import Wish, verify
from common.avro import wire
from common.errors import CheckpointError, TopicNotFound
from common.kafka import end_offsets
from common.provision import prepare_topic
from common.registry import RegistryClient
from tests.e2e.commands import MIX, adstream, changed_contract, delete_before, one_line, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.faults.account import Account
from tests.faults.faulty import await_a_point, ledger, require_one_line, settle
from tests.faults.services import frozen, killed


def test_kafka_killed_and_frozen_while_producing_loses_no_acknowledged_event(
    spark: SparkSession, pipeline: Pipeline, account: Account, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    acknowledged = tmp_path / "acknowledged"
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    with running_job(pipeline) as job:
        with started(
            *("produce", "ads", "--seed", str(seed), "--count", "4000", "--rate", "400", *MIX),
            *("--acknowledged", str(acknowledged)),
        ) as producer:
            said = job.await_line(r"^batch 2 ")
            wait, lasts = chance.uniform(0, 1), chance.uniform(1, 4)
            time.sleep(wait)  # to a random point of a batch
            what = f"Kafka frozen for {lasts:.1f} s"
            with frozen(pipeline.settings, "kafka"), account.fault(what, f"{wait:.2f} s after batch 2"):
                time.sleep(lasts)
            said = job.await_line(r"^batch \d+ ", after=said)
            with killed(pipeline.settings, "kafka"), account.fault("Kafka killed", "after the next batch"):
                pass
            producer.communicate(timeout=SECONDS)
        pipeline.produce("--seed", str(seed + 1), "--count", "300", "--over", "1m")  # a batch after the last fault
        # The last batch may be a repeated one, whose lag is unknown.
        job.await_line(r"lag (0|unknown) ", after=said, or_end=True)
        require_one_line(job)
    pipeline.run(spark)
    sent = len(acknowledged.read_text().splitlines())
    assert sent > 1000
    assert len(pipeline.messages()) >= 1000 + sent
    settle(account, pipeline, len(pipeline.messages()))
    found = verify(pipeline.settings, pipeline.checkpoint, Wish(acknowledged=[acknowledged]))
    assert found.equal, found
    assert found.acknowledged
    assert found.acknowledged.places == sent


@pytest.mark.thorough
def test_cassandra_killed_in_the_middle_of_a_batch(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with running_job(pipeline) as job:
        said, when = await_a_point(job, chance)
        with killed(pipeline.settings, "cassandra"), account.fault("Cassandra killed", when):
            said = job.await_line("batch failed", after=said, or_end=True)
        job.await_line(r"lag 0 ", after=said, or_end=True)
        require_one_line(job)
    pipeline.run(spark)
    settle(account, pipeline, 6000)


@pytest.mark.thorough
def test_cassandra_frozen_in_the_middle_of_a_batch(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    pipeline.produce("--seed", str(seed), "--count", "4000", "--over", "3m", *MIX)
    with running_job(pipeline) as job:
        batch = random.Random(seed).randrange(3)
        said = job.await_line(rf"^batch {batch} ")
        when = f"after batch {batch}"
        with frozen(pipeline.settings, "cassandra"), account.fault("Cassandra frozen", when):
            said = job.await_line("batch failed", after=said, or_end=True)
        job.await_line(r"lag 0 ", after=said, or_end=True)
        require_one_line(job)
    pipeline.run(spark)
    settle(account, pipeline, 4000)


@pytest.mark.thorough
def test_registry_down_or_silent_at_the_start_is_one_line_and_loses_nothing(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    pipeline.produce("--count", "300", "--over", "1m")
    with killed(pipeline.settings, "registry"):
        assert "no schema registry answers" in one_line(adstream(*pipeline.stream_command, "--once"))
    with socket.create_server(("127.0.0.1", 0)) as accepts_and_says_nothing:
        url = f"http://127.0.0.1:{accepts_and_says_nothing.getsockname()[1]}"
        silent = {"ADSTREAM_REGISTRY_URL": url, "ADSTREAM_REGISTRY_TIMEOUT_SECONDS": "1"}
        assert url in one_line(adstream(*pipeline.stream_command, "--once", **silent))
    pipeline.run(spark)
    ledger(pipeline, 300)


@pytest.mark.thorough
def test_registry_silent_when_a_new_schema_comes(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    settings = pipeline.settings
    pipeline.produce("--seed", str(seed), "--count", "500", "--over", "1m", *MIX)
    with running_job(pipeline) as job:
        said = job.await_line(r"lag 0 ")
        newer = changed_contract(settings.topic.ads, {"name": "country", "type": ["null", "string"], "default": None})
        RegistryClient(settings.registry).register(newer)
        pipeline.produce("--seed", str(seed + 1), "--count", "500", "--over", "1m")
        # The first batch with the new schema fails. To read it, the job needs an answer of the registry.
        said = job.await_line("new schema version", after=said)
        said = job.await_line(r"^batch \d+ ", after=said)
        with frozen(settings, "registry"), account.fault("registry frozen", "while a new schema id comes"):
            send_unknown_schema_id(pipeline)
            said = job.await_line("batch failed", after=said)
        job.await_line(r"^batch \d+ ", after=said)
        code, said_all, errors = job.end()
        assert code == 0, said_all + errors
    pipeline.run(spark)
    settle(account, pipeline, len(pipeline.messages()))


def send_unknown_schema_id(pipeline: Pipeline) -> None:
    """Send a message with an unknown schema id. The job must ask the registry whether the schema is new."""
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    producer.produce(pipeline.settings.topic.ads, wire.header(500_000) + b"?", b"k")
    assert producer.flush(30) == 0


def test_messages_that_are_gone_before_they_were_counted_stop_the_job(spark: SparkSession, pipeline: Pipeline) -> None:
    settings = pipeline.settings
    topic = settings.topic.ads
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    pipeline.produce("--count", "300", "--over", "1m")
    pipeline.run(spark)
    ledger(pipeline, 300)
    ends = end_offsets(settings, topic)
    pipeline.produce("--count", "300", "--over", "1m")
    delete_before(settings, topic, {partition: offset + 10 for partition, offset in ends.items()})
    with pytest.raises(CheckpointError, match=r"10 messages were removed before they were counted.*adstream reset"):
        pipeline.run(spark)

    admin.delete_topics([topic])[topic].result(timeout=30)
    with pytest.raises(TopicNotFound, match=topic):
        pipeline.run(spark)
    prepare_topic(settings, topic, "ads_data")
    with pytest.raises(CheckpointError, match="topic_id"):
        pipeline.run(spark)
