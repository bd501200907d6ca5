"""What Kafka says about a topic's options."""

import secrets

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from benchmarks.pipeline import configure
from common import kafka
from common.settings import Settings


def test_kafka_says_how_many_replicas_have_a_message_when_it_acknowledges_it(stack: Settings) -> None:
    topic = f"copies-{secrets.token_hex(4)}"
    kafka.create_topics(stack, [kafka.topic_spec(stack, topic)])
    assert kafka.copies_acknowledged(stack, topic) == 1
    configure(stack, topic, {"min.insync.replicas": 2})
    assert kafka.copies_acknowledged(stack, topic) == 2
    assert kafka.copies_acknowledged(stack, "nowhere") == 1


def test_a_new_topic_has_the_retention_the_message_size_and_the_partitions_of_the_settings(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RETENTION_HOURS": "5", "MAX_MESSAGE_BYTES": "4096", "PARTITIONS": "3"}.items():
        monkeypatch.setenv(f"ADSTREAM_TOPIC_{name}", value)
    settings, topic = Settings(), f"made-{secrets.token_hex(4)}"
    kafka.create_topics(settings, [kafka.topic_spec(settings, topic)])
    assert len(kafka.end_offsets(settings, topic)) == 3
    admin, asked = AdminClient(kafka.client_config(settings.kafka)), ConfigResource(ConfigResource.Type.TOPIC, topic)
    found = admin.describe_configs([asked])[asked].result(30)
    assert {name: found[name].value for name in ("retention.ms", "max.message.bytes")} == {
        "retention.ms": "18000000",
        "max.message.bytes": "4096",
    }
