"""The debug consumer: every message of a topic, unchanged. It leaves no trace unless asked to."""

import secrets
import threading
import time
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from common.kafka import ClientErrors, consumer_config, kafka_error, require_topic, taken_settings
from common.settings import Settings

BATCH = 500
POLL_SECONDS = 0.2
COMMIT_SECONDS = 5.0
_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}


class DebugConsumer:
    """Reads `topic` in batches.

    Without a group the consumer takes all partitions by itself, from the start or the end, and the broker stores
    nothing about it. With a group it shares them with the other members, from the group's committed offsets. Raises
    TopicNotFound, ServiceUnavailable, AccessDenied.
    """

    def __init__(self, settings: Settings, topic: str, *, group: str | None, from_start: bool) -> None:
        self._settings = settings
        self._topic = topic
        self._errors = ClientErrors(settings.kafka)
        self._seen: dict[int, int] = {}
        self._committed_at = time.monotonic()
        partitions = require_topic(settings, topic).partitions
        config = consumer_config(settings.kafka, self._errors) | {
            "group.id": group or f"adstream-consume-{secrets.token_hex(4)}",
            "auto.offset.reset": "earliest" if from_start else "latest",
        }
        with taken_settings():
            self._consumer = Consumer(config)
        if group is None:
            start = OFFSET_BEGINNING if from_start else OFFSET_END
            self._consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
        else:
            self._consumer.subscribe([topic])

    def batches(self, stop: threading.Event, *, to_end: bool = False) -> Iterator[list[Message]]:
        """Yield batches until `stop` is set, or until every partition was read to its end."""
        ended: set[int] = set()
        while not stop.is_set():
            found = self._poll()
            good = []
            for message in found:
                partition = message.partition() or 0
                error = message.error()
                if error is None:
                    good.append(message)
                    ended.discard(partition)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(partition)
                elif error.code() not in _PASSING:
                    raise self._errors.explain(error)
            yield good
            if not found and self._errors.any():
                self._look_again()
            if to_end and ended and ended >= {place.partition for place in self._consumer.assignment()}:
                return

    def shown(self, message: Message) -> None:
        """Remember that everything up to `message` has been shown."""
        self._seen[message.partition() or 0] = (message.offset() or 0) + 1

    def commit(self, *, now: bool = False) -> None:
        """Commit the shown messages, every few seconds or `now`. Raises ServiceUnavailable."""
        if not self._seen or not (now or time.monotonic() - self._committed_at > COMMIT_SECONDS):
            return
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in self._seen.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise self._errors.explain(kafka_error(error)) from None
        self._seen.clear()
        self._committed_at = time.monotonic()

    def close(self) -> None:
        self._consumer.close()

    def _poll(self) -> list[Message]:
        try:
            return self._consumer.consume(BATCH, timeout=POLL_SECONDS)
        except KafkaException as error:
            raise self._errors.explain(kafka_error(error)) from None

    def _look_again(self) -> None:
        """Raise if the broker or the topic is gone, after a failed connection without messages."""
        require_topic(self._settings, self._topic)
        self._errors.clear()
