"""What Kafka says about a topic's options."""

import secrets

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
