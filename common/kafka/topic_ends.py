"""The end of a topic, for readers and by its high watermark.

Messages held back by open transactions are between the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Consumer, TopicPartition

from common import kafka
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, Settings
from common.text.moments import from_millis


@dataclass(frozen=True)
class Ends:
    """The ends of a partition: `stable` for a reader of committed messages, `newest` by the high watermark.

    The first open transaction begins at `stable`. Its messages, and all messages behind it, are held back until the
    transaction is committed or aborted.
    """

    stable: int
    newest: int

    @property
    def held_back(self) -> int:
        return max(0, self.newest - self.stable)


class TopicEnds:
    """Asks repeatedly for the ends of a topic, over one connection. Raises the errors of `kafka.end_offsets`."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._admin = kafka.connected(settings.kafka)

    def __call__(self) -> dict[int, Ends]:
        # In this order, because messages written or committed between the two answers must not count as held back.
        newest, stable = (
            kafka.end_offsets(self._settings, self._topic, level, self._admin)
            for level in (READ_UNCOMMITTED, READ_COMMITTED)
        )
        return {partition: Ends(stable.get(partition, end), end) for partition, end in newest.items()}


def held_back(ends: Mapping[int, Ends]) -> int:
    """Return the number of offsets that open transactions hold back, over all partitions."""
    return sum(each.held_back for each in ends.values())


def open_since(settings: Settings, topic: str, partition: int, stable: int) -> datetime | None:
    """Return when the open transaction's first message, at `stable`, was written.

    None if it no longer exists, or has a time outside of the calendar.
    """
    consumer = Consumer(
        kafka.consumer_config(settings.reading(READ_UNCOMMITTED).kafka)
        | {"group.id": "adstream-doctor", "auto.offset.reset": "earliest"}
    )
    try:
        consumer.assign([TopicPartition(topic, partition, stable)])
        message = consumer.poll(settings.kafka.timeout_seconds)
    finally:
        consumer.close()
    if message is None or message.error() is not None or message.offset() != stable:
        return None
    return from_millis(message.timestamp()[1])
