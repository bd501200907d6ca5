"""The end of a topic, for readers and by its high watermark.

Messages held back by open transactions are between the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Consumer, TopicPartition

from common import kafka
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, Settings


@dataclass(frozen=True)
class Ends:
    """Where a partition ends: `stable` for a reader of committed messages, `newest` by the high watermark.

    At `stable` begins the first open transaction. Its messages, and all that was written behind them, are held back
    until it is committed or aborted.
    """

    stable: int
    newest: int

    @property
    def held_back(self) -> int:
        return max(0, self.newest - self.stable)


class TopicEnds:
    """Asks again and again where a topic ends, over one connection. Raises as `kafka.end_offsets`."""

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
    """How many offsets open transactions hold back, in all partitions."""
    return sum(each.held_back for each in ends.values())


def open_since(settings: Settings, topic: str, partition: int, stable: int) -> datetime | None:
    """When the first message of the open transaction at offset `stable` was written; None where it is gone by now."""
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
    return datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC)
