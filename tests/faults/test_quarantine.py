"""The job finds a message that crashes it, sets it aside as a dead letter, and counts all others."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from adstream.dead_letters.letters import letter_of
from common import contracts
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder
from producer.timeline import to_millis
from streaming.jobs import find
from streaming.monitoring.listener import Listener
from streaming.patterns.ad_metrics import ad_metrics
from streaming.query.options import Options
from streaming.query.runner import Runner
from tests.e2e.pipeline import Pipeline
from tests.faults.faulty import ledger


@wraps(ad_metrics)
def with_a_bug(events: DataFrame, **parameters: Any) -> DataFrame:
    met = F.col("ad_id").startswith("boom")
    return ad_metrics(
        events.withColumn("clicks", F.when(~met, F.col("clicks")).otherwise(F.raise_error(F.lit("met")))), **parameters
    )


def send(pipeline: Pipeline, ad_ids: list[str]) -> None:
    topic = pipeline.settings.topic.ads
    encode = Encoder(RegistryClient(pipeline.settings.registry).latest(f"{topic}-value"), contracts.latest("ads_data"))
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    for ad_id in ad_ids:
        event = {"ad_id": ad_id, "timestamp": to_millis(datetime.now(UTC)), "clicks": 1, "views": 1, "cost": 0.5}
        producer.produce(topic, encode({**event, "event_id": None}), ad_id.encode())
    assert producer.flush(30) == 0


@pytest.mark.thorough
def test_a_message_that_crashes_the_job_twice_is_set_aside(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH", "150")
    pipeline.produce("--count", "200", "--over", "1m", "--ads", "5", "--broken", "0.05")
    send(pipeline, ["boom-1", "ad-9", "boom-2"])
    pipeline.produce("--count", "200", "--over", "1m", "--ads", "5")
    send(pipeline, ["boom-3"])
    notices: list[str] = []
    job = replace(find("ad-metrics"), pattern=with_a_bug)
    options = Options(job.trigger, once=True, checkpoint=str(pipeline.checkpoint))
    listener = Listener(batch=lambda _report: None, notice=notices.append)
    for _ in range(2):  # the second run reads nothing new, and remembers the set-aside messages
        Runner(spark, Settings(), job, options, listener=listener, stopping=threading.Event()).run()
    assert sum("set aside as dead letters" in line for line in notices) in (1, 2), notices
    letters = [found for found in map(letter_of, pipeline.dead_letters()) if found]
    aside = {found.place: found for found in letters if found.reason == "crashes_the_job"}
    assert {found.key for found in aside.values()} == {b"boom-1", b"boom-2", b"boom-3"}
    assert all(found.value for found in aside.values())
    fates = ledger(pipeline, 404)
    assert fates["dead"] == len({found.place for found in letters})
    assert fates["counted"] == 404 - fates["dead"]
