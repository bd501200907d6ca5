"""Sends the messages of a day. Each leaves when the day's clock, which runs faster than ours, reaches its time.

A message has the time of the day's clock as its time in Kafka (CreateTime). So the job decides by the day's clock what
is late, and what is ahead.
"""

import threading
import time
from dataclasses import dataclass, replace
from itertools import islice

from benchmarks.days.book import Book
from benchmarks.days.plan import DAY_MINUTES, MINUTE_MS, SCHEMA_MINUTE, Plan
from common import contracts
from common.contracts import Contract
from common.registry import RegistryClient
from common.settings import Settings
from producer.events import SOURCES
from producer.publisher import AvroPublisher
from producer.traffic import Mix

_NEAR_SECONDS = 0.005
_LONGEST_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Span:
    """Part of the plan as a timeline of producer.traffic: position 0 is message number `first`."""

    plan: Plan
    first: int
    step_ms: float = 0.0

    @property
    def start_ms(self) -> int:
        return self.plan.at(self.first)

    def at(self, position: int) -> int:
        return self.plan.at(self.first + position)


class Sender:
    """Sends a day in `seconds`: with version 1 of the schema until 10:00, and then with version 2.

    `sent` counts messages, and `now` is the time of the last one. `book` has what must become of them.
    """

    def __init__(
        self, settings: Settings, plan: Plan, seed: int, mix: Mix, seconds: float, stopping: threading.Event
    ) -> None:
        self._settings, self._plan, self._seed, self._mix, self._stopping = settings, plan, seed, mix, stopping
        self._speed = DAY_MINUTES * 60 / seconds
        self._began = 0.0
        self.book = Book()
        self.sent = 0
        self.versions: list[int] = []
        one, two = contracts.history("ads_data")[:2]
        self._contracts = [replace(each, subject=f"{settings.topic.ads}-value") for each in (one, two)]

    @property
    def now(self) -> int:
        """The time of the day's clock, in milliseconds; not beyond the day's end."""
        passed = (time.monotonic() - self._began) * self._speed if self._began else 0.0
        return min(self._plan.end, self._plan.begin + int(passed * 1_000))

    def prepare(self) -> None:
        """Register version 1: a job does not start without a schema."""
        RegistryClient(self._settings.registry).register(self._contracts[0])

    def run(self) -> None:
        """Send everything, and wait until Kafka has acknowledged all of it. Raises DeliveryFailed."""
        change = self._plan.first(SCHEMA_MINUTE)
        self._began = time.monotonic()
        self._send(self._contracts[0], 0, change, has_id=False)
        self._wait_until(self._plan.begin + SCHEMA_MINUTE * MINUTE_MS)
        self._send(self._contracts[1], change, self._plan.messages, has_id=True)

    def _send(self, contract: Contract, first: int, end: int, *, has_id: bool) -> None:
        """Register this version of the schema, and send the messages from `first` to `end` with it."""
        self.versions.append(RegistryClient(self._settings.registry).put(contract).version)
        publisher = AvroPublisher(self._settings, self._settings.topic.ads, contract)
        span = Span(self._plan, first)
        records = SOURCES["ads"].records(self._seed, self._mix, span)
        for position, record in enumerate(islice(records, end - first)):
            stamp = span.at(position)
            self._wait_until(stamp)
            if self._stopping.is_set():
                break
            stamped = record._replace(stamp=stamp)
            publisher.send(stamped)
            self.book.note(stamped, has_id=has_id)
            self.sent += 1
        publisher.flush()

    def _wait_until(self, moment: int) -> None:
        """Wait until the day's clock reaches this moment, or until a stop."""
        due = self._began + (moment - self._plan.begin) / 1_000 / self._speed
        while (ahead := due - time.monotonic()) > _NEAR_SECONDS and not self._stopping.is_set():
            self._stopping.wait(min(ahead, _LONGEST_WAIT_SECONDS))
