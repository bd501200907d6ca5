"""The consumer group of the processes that apply an updates topic, as others see it."""

import time
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from adstream import kafka
from adstream.errors import CheckpointError
from adstream.settings import Settings

# The session of a member (streaming.apply.changelog), and what a busy broker adds to it.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.25


def group_of(topic: str) -> str:
    """The consumer group of the processes that apply this topic."""
    return f"adstream-apply-{topic}"


def require_nobody(settings: Settings, topic: str) -> None:
    """Raises CheckpointError while processes apply the topic.

    Waits for a session: one that was killed, and one with a name of its own, are in the group for so long.
    """
    admin = kafka.connected(settings.kafka)
    group, end = group_of(topic), time.monotonic() + _PATIENCE_SECONDS
    while True:
        asked: Any = admin.client.describe_consumer_groups([group], request_timeout=admin.timeout)[group]
        members = admin.result(asked).members
        if not members:
            return
        if time.monotonic() >= end:
            raise CheckpointError(f"{len(members)} `adstream apply` work on {topic}", "stop them first")
        time.sleep(_POLL_SECONDS)


def skip_all(settings: Settings, topic: str) -> int:
    """Let the group go on behind all that is in the topic now; returns how many offsets that are from the first one.

    Raises TopicNotFound where there is no such topic, CheckpointError while processes apply it.
    """
    require_nobody(settings, topic)
    ends, begins = kafka.end_offsets(settings, topic), kafka.begin_offsets(settings, topic)
    places = [TopicPartition(topic, partition, end) for partition, end in ends.items()]
    admin = kafka.connected(settings.kafka)
    asked = admin.client.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group_of(topic), places)], request_timeout=admin.timeout
    )
    try:
        asked[group_of(topic)].result(timeout=admin.timeout + 1)
    except KafkaException as error:
        raise admin.explain(kafka.kafka_error(error)) from None
    return sum(end - begins.get(partition, 0) for partition, end in ends.items())
