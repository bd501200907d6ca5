"""A topic with other people's messages: transactions (committed, aborted or open), and keys that Kafka compacts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from confluent_kafka import Message, Producer

from benchmarks.pipeline import configure
from common import contracts
from common.kafka import end_offsets
from common.registry import RegistryClient
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, Settings
from producer.encoding import Encoder
from tests.e2e.commands import SECONDS

ALONE = 0  # the partition of the transactions
COMPACTED = 1


@dataclass
class Writer:
    """Writes ad events to the pipeline's topic. The broker time of an event is its own time (CreateTime)."""

    settings: Settings
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def __post_init__(self) -> None:
        newest = RegistryClient(self.settings.registry).latest(f"{self.settings.topic.ads}-value")
        self._encode = Encoder(newest, contracts.latest("ads_data"))
        self._brokers = {"bootstrap.servers": self.settings.kafka.bootstrap_servers}
        self.configure(**{"message.timestamp.type": "CreateTime"})

    def configure(self, **values: str) -> None:
        configure(self.settings, self.settings.topic.ads, values)

    def send(self, clicks: int, ago: timedelta, *, partition: int = ALONE, key: str | None = None) -> Message:
        """Send one event outside of any transaction. Return it as the topic has it."""
        sent: list[Message] = []
        producer = Producer(self._brokers)
        self._put(producer, clicks, ago, partition, key, on_delivery=lambda _error, message: sent.append(message))
        assert producer.flush(SECONDS) == 0
        return sent[0]

    @contextmanager
    def transaction(self, count: int, clicks: int, ago: timedelta) -> Iterator[Producer]:
        """Begin a transaction and write this many events to the topic; the caller ends it."""
        producer = Producer(self._brokers | {"transactional.id": token_hex(4), "transaction.timeout.ms": 600_000})
        producer.init_transactions(SECONDS)
        producer.begin_transaction()
        for _ in range(count):
            self._put(producer, clicks, ago, ALONE, None)
        assert producer.flush(SECONDS) == 0
        yield producer

    def await_decided(self) -> None:
        """Wait until no transaction holds anything back.

        Kafka writes the marker of a transaction's end a moment after the client has ended it.
        """
        deadline = time.monotonic() + SECONDS
        name = self.settings.topic.ads
        while end_offsets(self.settings, name, READ_COMMITTED) != end_offsets(self.settings, name, READ_UNCOMMITTED):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _put(
        self, producer: Producer, clicks: int, ago: timedelta, partition: int, key: str | None, **how: Any
    ) -> None:
        number = next(self.numbers)
        moment = round((self.now - ago).timestamp() * 1_000)
        value = {
            "ad_id": f"ad-{number % 3}",
            "timestamp": moment,
            "clicks": clicks,
            "views": 1,
            "cost": 0.25,
            "event_id": f"event-{number}",
        }
        place = (key or f"key-{number}").encode()
        producer.produce(
            self.settings.topic.ads, self._encode(value), place, partition=partition, timestamp=moment, **how
        )
