"""The consumer group of the processes that apply an updates topic.

This module asks about the group and never joins it.

Kafka keeps a group's offsets by the topic's name. A process that has not noticed yet that its topic was deleted and
made anew commits an old offset for the new topic, and rows before it would never be applied. So each commit names the
id of the topic that was read, and counts for that topic alone.

Each commit also has the leader epoch of the last row. After a power cut Kafka may have lost rows that were applied, and
have other rows at their offsets. Then the group has applied the rows before the first lost one (common.kafka.log_cuts).
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from common import kafka
from common.errors import CheckpointError
from common.kafka.errors import NoCoordinator
from common.kafka.log_cuts import NO_EPOCH, Known, still_there
from common.settings import Settings

# The session timeout of a member (streaming.apply.changelog), and time for a busy broker.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.25


def group_of(topic: str) -> str:
    """Return the consumer group of the processes that apply this topic."""
    return f"adstream-apply-{topic}"


def committed_at(topic: str, partition: int, known: Known, topic_id: str) -> TopicPartition:
    """Return a commit: all rows before this offset, of the topic with this id, are in the tables."""
    return TopicPartition(topic, partition, known.offset, metadata=topic_id, leader_epoch=known.epoch)


def applied_upto(commit: TopicPartition, topic_id: str) -> Known | None:
    """Return how far a commit goes; None if there is none, or one of another topic with the same name."""
    # Earlier releases committed no epoch.
    known = Known(int(commit.offset), NO_EPOCH if commit.leader_epoch is None else commit.leader_epoch)
    return known if commit.offset >= 0 and commit.metadata == topic_id else None


def applied_in(
    consumer: Consumer, settings: Settings, topic: str, partitions: Iterable[int], topic_id: str
) -> dict[int, Known]:
    """Return how far the consumer's group has applied these partitions. Leaves out partitions not begun.

    Raises KafkaException.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    found = consumer.committed(places, timeout=settings.kafka.timeout_seconds)
    return {at.partition: known for at in found if (known := applied_upto(at, topic_id)) is not None}


class Applied:
    """Answers how far a topic is applied. Keeps its connections for further questions until it is closed.

    Raises the errors of `kafka.end_offsets`.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._errors = kafka.ClientErrors(settings.kafka)
        self._admin = kafka.connected(settings.kafka)
        config = kafka.consumer_config(settings.kafka, self._errors) | {"group.id": group_of(topic)}
        with kafka.taken_settings():
            self._consumer = Consumer(config)

    def ends(self) -> dict[int, int]:
        """Return the present ends of the topic's partitions."""
        return kafka.end_offsets(self._settings, self._topic, admin=self._admin)

    def topic_id(self) -> str:
        """Return the id of the present topic."""
        return kafka.topic_id(self._settings, self._topic, self._admin)

    def upto(self, partitions: Iterable[int], topic_id: str) -> dict[int, int]:
        """Return partition -> the offset before which all rows of the topic with this id are in the tables.

        Leaves out partitions not begun.
        """
        try:
            known = applied_in(self._consumer, self._settings, self._topic, partitions, topic_id)
        except KafkaException as error:
            raise self._errors.explain(kafka.kafka_error(error)) from None
        present = self.leader_epochs()
        doubtful = {number: each for number, each in known.items() if present.get(number) != each.epoch}
        known |= still_there(self._settings, self._topic, doubtful)
        return {number: each.offset for number, each in known.items()}

    def leader_epochs(self) -> dict[int, int]:
        """Return the number of the present leader, by partition."""
        return kafka.leader_epochs(self._settings, self._topic, self._admin)

    def copies(self) -> int:
        """Return how many replicas have a row when Kafka acknowledges it."""
        return kafka.copies_acknowledged(self._settings, self._topic, self._admin)

    def close(self) -> None:
        self._consumer.close()


def behind(upto: Mapping[int, int], ends: Mapping[int, int]) -> int:
    """Return how many offsets before `ends` are not applied."""
    return sum(max(0, end - upto.get(partition, 0)) for partition, end in ends.items())


def require_nobody(settings: Settings, topic: str) -> None:
    """Raise CheckpointError while processes apply the topic.

    Waits for one session: a killed process, or one with a fixed name, stays in the group for that long. It also waits
    for a broker that answers for the group; the first question about any group lets a new Kafka choose one.
    """
    admin = kafka.connected(settings.kafka)
    group, end = group_of(topic), time.monotonic() + _PATIENCE_SECONDS
    while True:
        asked: Any = admin.client.describe_consumer_groups([group], request_timeout=admin.timeout)[group]
        try:
            members = admin.result(asked).members
        except NoCoordinator:
            if time.monotonic() >= end:
                raise
        else:
            if not members:
                return
            if time.monotonic() >= end:
                raise CheckpointError(f"{len(members)} `adstream apply` work on {topic}", "stop them first")
        time.sleep(_POLL_SECONDS)


def skip_all(settings: Settings, topic: str) -> int:
    """Move the group behind all present messages of the topic. Returns the number of offsets in the topic.

    Raises TopicNotFound if the topic does not exist, CheckpointError while processes apply it.
    """
    require_nobody(settings, topic)
    ends, begins = kafka.end_offsets(settings, topic), kafka.begin_offsets(settings, topic)
    admin = kafka.connected(settings.kafka)
    topic_id, epochs = kafka.topic_id(settings, topic, admin), kafka.leader_epochs(settings, topic, admin)
    places = [
        committed_at(topic, partition, Known(end, epochs.get(partition, NO_EPOCH)), topic_id)
        for partition, end in ends.items()
    ]
    asked = admin.client.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group_of(topic), places)], request_timeout=admin.timeout
    )
    try:
        asked[group_of(topic)].result(timeout=admin.timeout + 1)
    except KafkaException as error:
        raise admin.explain(kafka.kafka_error(error)) from None
    return sum(end - begins.get(partition, 0) for partition, end in ends.items())
