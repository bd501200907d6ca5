"""A topic whose records have their producers' time: every part that judges lateness by this time says so."""

import json
from datetime import UTC, datetime

from confluent_kafka import Producer
from pyspark.sql import SparkSession

from benchmarks.pipeline import configure
from common import contracts, kafka
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder
from producer.timeline import to_millis
from tests.e2e.commands import SECONDS, adstream
from tests.e2e.pipeline import Pipeline

SAID = "has CreateTime: what is late or ahead goes by the producers' clocks, not by the broker's"


def stamp_by_producers(settings: Settings) -> None:
    configure(settings, settings.topic.ads, {"message.timestamp.type": "CreateTime"})


def doctor_says(topic: str) -> list[tuple[str, str]]:
    found = json.loads(adstream("doctor", "--json").stdout)
    about = ("broker time", f"clock of {topic}")
    return [(each["verdict"], each["subject"]) for each in found if each["subject"] in about]


def test_job_verify_and_doctor_say_whose_clock_decides(spark: SparkSession, pipeline: Pipeline) -> None:
    topic, program = pipeline.settings.topic.ads, ("verify", "ad-metrics", "--checkpoint", str(pipeline.checkpoint))
    pipeline.produce("--count", "20", "--rate", "0")
    assert not any("CreateTime" in line for line in pipeline.run(spark))
    assert pipeline.verified().clock == ""
    assert doctor_says(topic) == [("OK", "broker time")]

    assert kafka.stamped_by_producers(pipeline.settings, [topic, "nowhere"]) == {topic: False, "nowhere": None}

    stamp_by_producers(pipeline.settings)
    # An hour behind the broker: on time by the producer's clock, late by the broker's.
    newest = RegistryClient(pipeline.settings.registry).latest(f"{topic}-value")
    past = to_millis(datetime.now(UTC)) - 3_600_000
    event = {"ad_id": "ad-1", "timestamp": past, "clicks": 1, "views": 3, "cost": 0.25, "event_id": None}
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    producer.produce(topic, Encoder(newest, contracts.latest("ads_data"))(event), b"ad-1", timestamp=past)
    assert producer.flush(SECONDS) == 0

    said = pipeline.run(spark)
    assert sum(f"{topic} {SAID}" in line for line in said) == 1
    assert pipeline.verified().fates == {"counted": 21, "duplicate": 0, "late": 0, "dead": 0}
    for_people = adstream(*program)
    assert for_people.returncode == 0, for_people.stderr
    assert for_people.stdout.count(f"{topic} {SAID}") == 1
    assert SAID in json.loads(adstream(*program, "--json").stdout)["clock"]
    assert doctor_says(topic) == [("WARN", f"clock of {topic}")]
