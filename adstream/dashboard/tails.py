"""The newest messages of a topic, a limited number for a topic of any size.

They show the active keys, and the broken messages.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from adstream.dead_letters.letters import Letter, letter_of
from common.errors import ServiceUnavailable
from common.kafka import ClientErrors, begin_offsets, consumer_config, end_offsets, kafka_error
from common.settings import Settings

# The number of newest events searched for active keys, and the number of keys kept.
EVENTS = 2_000
MOST_KEYS = 100
LETTERS = 200
SECONDS = 5.0
MOST_BYTES = 32 * 1024 * 1024
_BATCH = 500
_POLL_SECONDS = 0.2


def active_keys(settings: Settings, topic: str) -> list[str]:
    """Return the keys of the topic's newest events, the most frequent first. Raises the errors of `newest`."""
    keys = Counter(message.key() for message in newest(settings, topic, EVENTS))
    return [key.decode(errors="replace") for key, _ in keys.most_common(MOST_KEYS) if isinstance(key, bytes)]


def newest_letters(settings: Settings) -> list[Letter]:
    """Return the newest dead letters, newest first, each place once. Raises the errors of `newest`."""
    found = {}
    for message in newest(settings, settings.topic.dead_letters, LETTERS):
        letter = letter_of(message)
        if letter is not None:
            found[letter.place] = letter
    return sorted(found.values(), key=lambda letter: letter.published, reverse=True)


def newest(settings: Settings, topic: str, most: int) -> Iterator[Message]:
    """Return about the newest `most` messages, an equal share of each partition; fewer if they exceed 32 MB.

    Raises TopicNotFound, ServiceUnavailable, AccessDenied.
    """
    begins, ends = begin_offsets(settings, topic), end_offsets(settings, topic)
    share = max(1, most // len(ends))
    places = [
        TopicPartition(topic, partition, max(begins[partition], end - share))
        for partition, end in ends.items()
        if end > begins[partition]
    ]
    errors = ClientErrors(settings.kafka)
    config = consumer_config(settings.kafka, errors) | {
        "group.id": f"adstream-dashboard-{secrets.token_hex(4)}",  # the client requires one, but commits nothing
        "queued.max.messages.kbytes": MOST_BYTES // 1024,
    }
    waiting, left, deadline = {place.partition for place in places}, MOST_BYTES, monotonic() + SECONDS
    with closing(Consumer(config)) as consumer:
        consumer.assign(places)
        while waiting and left > 0:
            if monotonic() > deadline:
                raise ServiceUnavailable(f"Kafka did not give the end of {topic} in {SECONDS:g} s", "look at its load")
            for message in _polled(consumer, errors):
                partition, error = message.partition() or 0, message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        waiting.discard(partition)
                    continue  # an error of a connection: the client connects again, until the deadline
                if (message.offset() or 0) + 1 >= ends[partition]:
                    waiting.discard(partition)
                left -= len(message.value() or b"")
                yield message


def _polled(consumer: Consumer, errors: ClientErrors) -> list[Message]:
    try:
        return consumer.consume(_BATCH, timeout=_POLL_SECONDS)
    except KafkaException as error:
        raise errors.explain(kafka_error(error)) from None
