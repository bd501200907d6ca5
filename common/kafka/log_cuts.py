"""Find out whether a partition still has the messages that it had under an earlier leader.

A broker acknowledges a message before its disk has it. After a power cut the newest messages may be gone. Their offsets
then go to other messages, so offsets alone show no loss. Leader epochs do. Kafka numbers the leaders of a partition,
and each start of a leader gets a new number. A leader knows at which offset each earlier epoch ended, in its own log.
If an epoch ended below an offset that somebody has read in it, the messages from its end on are gone.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from common.errors import ServiceUnavailable
from common.kafka.clients import consumer_config
from common.kafka.errors import ClientErrors, kafka_error
from common.settings import READ_UNCOMMITTED, Settings

# The client's words where an epoch ends below the place. The error's code says only that the client may not go on.
_CUT = re.compile(r"broker end offset is (-?\d+)")
_RETRY_SECONDS = 0.05
# Nobody knows the epoch, so nothing can be compared.
NO_EPOCH = -1


@dataclass(frozen=True)
class Known:
    """All messages before `offset` were in the partition while its leader had this epoch, or an earlier one."""

    offset: int
    epoch: int


def still_there(settings: Settings, topic: str, known: Mapping[int, Known]) -> dict[int, Known]:
    """Return the same without the messages that are gone. Raises ServiceUnavailable."""
    found = cuts(settings, topic, known)
    return {partition: replace(each, offset=found.get(partition, each.offset)) for partition, each in known.items()}


def cuts(settings: Settings, topic: str, known: Mapping[int, Known]) -> dict[int, int]:
    """Return partition -> the offset from which on known messages are gone; empty if all are still there.

    Raises ServiceUnavailable.
    """
    places = {partition: each for partition, each in known.items() if each.offset > 0 and each.epoch != NO_EPOCH}
    if not places:
        return {}
    errors = ClientErrors(settings.kafka)
    own = {"group.id": "adstream-log-cuts", "auto.offset.reset": "error", "fetch.wait.max.ms": 10}
    consumer = Consumer(consumer_config(settings.reading(READ_UNCOMMITTED).kafka, errors) | own)
    end = time.monotonic() + settings.kafka.timeout_seconds
    try:
        consumer.assign([TopicPartition(topic, partition, each.offset) for partition, each in places.items()])
        for partition, each in places.items():
            _seek(consumer, TopicPartition(topic, partition, each.offset, leader_epoch=each.epoch), end, errors)
        return _answers(consumer, set(places), end, errors)
    finally:
        consumer.close()


def cut_in(error: KafkaError) -> int | None:
    """Return the offset from which on messages are gone that the client has read; None for any other error."""
    found = _CUT.search(error.str() or "")
    return max(0, int(found[1])) if found else None


def _seek(consumer: Consumer, place: TopicPartition, end: float, errors: ClientErrors) -> None:
    """Let the client compare the place's epoch with the log. It does so for a seek, and not for an assignment."""
    while True:
        try:
            return consumer.seek(place)
        except KafkaException as error:
            problem = kafka_error(error)
            # The client begins to fetch in the background.
            if problem.code() != KafkaError._STATE or time.monotonic() >= end:
                raise errors.explain(problem) from None
            time.sleep(_RETRY_SECONDS)


def _answers(consumer: Consumer, waiting: set[int], end: float, errors: ClientErrors) -> dict[int, int]:
    """A message or the partition's end come once the client has compared; so does the error if messages are gone."""
    found: dict[int, int] = {}
    while waiting:
        left = end - time.monotonic()
        if left <= 0:
            raise errors.explain(KafkaError(KafkaError._TIMED_OUT))
        message = consumer.poll(min(left, 1.0))
        if message is None:
            continue
        error, partition = message.error(), message.partition() or 0
        if error is not None and (cut := cut_in(error)) is not None:
            found[partition] = cut
        elif error is not None and error.code() not in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
            problem = errors.explain(error)
            if not isinstance(problem, ServiceUnavailable):
                raise problem
            continue  # the client tries again
        waiting.discard(partition)
    return found
