"""Sends a steady load that contains probes, and notes when a reader can read each probe's row.

A probe is the only event of its ad. So its row exists as soon as the job has counted it. The latency of a probe is the
time when the reader sees the row in `ad_metrics`, minus the probe's event time. The sender takes the event time just
before it hands the event to the producer.
"""

import itertools
import multiprocessing
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from cassandra.cluster import Session

from common.cassandra.session import connect
from common.settings import Settings
from producer.events import SOURCES
from producer.pace import Pace
from producer.publisher import AvroPublisher
from producer.records import Record
from producer.run import run as send_all
from producer.timeline import Timeline, to_millis
from producer.traffic import Mix

PER_SECOND = 10
POLL_SECONDS = 0.01
# Later, a query for each hundredth of the oldest probe's age: waiting for a start must not load Cassandra.
_POLL_SHARE = 0.01
READY_SECONDS = 180.0
# The most probes in one query, the oldest first.
MOST_ASKED = 200
_SHORTEST_WAIT_SECONDS = 0.002
_TOLD_SECONDS = 0.5


def now_ms() -> int:
    return to_millis(datetime.now(UTC))


@dataclass(frozen=True)
class Load:
    """A steady load: `rate` events a second over `ads` ads, for `seconds`."""

    topic: str
    rate: int
    seconds: float
    ads: int = 1_000


def send(load: Load, told: Connection) -> None:
    """Send the load in a process of its own.

    Reports each probe (id and time) and, now and then, the number of acknowledged events. Settings come from the
    environment. An event is made when it is due, so its event time is its sending time.
    """
    source = SOURCES["ads"]
    publisher = AvroPublisher(Settings(), load.topic, source.contract(load.topic))
    traffic = source.records(secrets.randbits(32), Mix(keys=load.ads), Timeline(0, 0.0, now_ms))
    every = max(1, load.rate // PER_SECOND)
    due = time.monotonic()

    def records() -> Iterator[Record]:
        pace = Pace(load.rate)
        for position in range(int(load.rate * load.seconds)):
            while (ahead := pace.ahead(position)) > _SHORTEST_WAIT_SECONDS:
                time.sleep(ahead)
            record = next(traffic)
            if position % every == 0:
                ad = f"probe-{secrets.token_hex(6)}"
                record = Record(ad, record.event | {"ad_id": ad})
                told.send((ad, record.event["timestamp"]))
            yield record

    def progress(_sent: int, acknowledged: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _TOLD_SECONDS
            told.send((now_ms(), acknowledged))

    send_all(publisher, records(), 0, threading.Event(), progress)
    told.send((now_ms(), publisher.acknowledged))
    told.send(None)


@dataclass
class Seen:
    """The reader's observations.

    `latencies` has a pair per probe, sending time and latency in milliseconds, in the order of sight. `acknowledged`
    has pairs of time and count. `asked` has a pair per query: seconds since the previous query began, and its duration
    in seconds.
    """

    latencies: list[tuple[int, int]] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    asked: list[tuple[float, float]] = field(default_factory=list)
    ended: bool = False

    def between(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return the probes that were sent between `begin` and `end` (ms)."""
        return [each for each in self.latencies.copy() if begin <= each[0] < end]

    def rate(self, begin: int, end: int) -> float:
        """Return how many events a second were sent and acknowledged in this time."""
        counts = [each for each in self.acknowledged.copy() if begin <= each[0] <= end]
        if len(counts) < 2:
            return 0.0
        (first, before), (last, after) = counts[0], counts[-1]
        return (after - before) / ((last - first) / 1_000)

    @property
    def own_ms(self) -> float:
        """The reader's own average part of a latency: half the time between two queries, plus one query."""
        asked = self.asked.copy()
        return sum(1_000 * (between / 2 + took) for between, took in asked) / max(1, len(asked))


class Reader:
    """Queries all pending probes at once, until it is stopped.

    The time between two queries is ten milliseconds, or a hundredth of the oldest probe's age.
    """

    def __init__(self, session: Session, told: Connection) -> None:
        self.seen = Seen()
        self._session, self._told = session, told
        self._read = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id IN ?")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="reader", daemon=True)
        self._error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Raise the error that ended the reader, if there is one."""
        if self._error is not None:
            raise self._error

    def _follow(self) -> None:
        began = time.monotonic()
        try:
            while not self._stopping.is_set():
                before, began = began, time.monotonic()
                self._hear()
                if self.seen.pending:
                    self._ask()
                    self.seen.asked.append((began - before, time.monotonic() - began))
                time.sleep(max(0.0, began + self._between() - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - `check` raises it where it is seen
            self._error = error

    def _between(self) -> float:
        oldest = next(iter(self.seen.pending.values()), None)
        return POLL_SECONDS if oldest is None else max(POLL_SECONDS, _POLL_SHARE * (now_ms() - oldest) / 1_000)

    def _hear(self) -> None:
        seen = self.seen
        while not seen.ended and self._told.poll():
            try:
                heard = self._told.recv()
            except EOFError:
                heard = None
            if heard is None:
                seen.ended = True
            elif isinstance(heard[0], str):
                seen.pending[heard[0]] = heard[1]
            else:
                seen.acknowledged.append(heard)

    def _ask(self) -> None:
        wanted = list(itertools.islice(self.seen.pending, MOST_ASKED))
        rows = list(self._session.execute(self._read, (wanted,)))
        at = now_ms()
        for row in rows:
            sent = self.seen.pending.pop(row.ad_id)
            self.seen.latencies.append((sent, at - sent))


@dataclass(frozen=True)
class Probing:
    """A running load, and the reader's observations of it. `sender` is the process id of the sender."""

    seen: Seen
    check: Callable[[], None]
    sender: int

    def wait(self, seconds: float, alive: Callable[[], None], *, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait until the condition holds, for at most `seconds`. Return whether it holds.

        Raises the error of the reader or the job.
        """
        end = time.monotonic() + seconds
        while not (held := until()) and time.monotonic() < end:
            self.check()
            alive()
            time.sleep(0.05)
        return held


@contextmanager
def probing(settings: Settings, load: Load) -> Iterator[Probing]:
    """Send the load and read its probes until the block ends."""
    context = multiprocessing.get_context("spawn")
    reads, writes = context.Pipe(duplex=False)
    sender = context.Process(target=send, args=(load, writes), daemon=True)
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        reader = Reader(session, reads)
        sender.start()
        writes.close()
        reader.start()
        try:
            yield Probing(reader.seen, reader.check, sender.pid or 0)
        finally:
            sender.kill()
            sender.join()
            reader.stop()


def await_first(settings: Settings, topic: str, alive: Callable[[], None]) -> float:
    """Wait for the row of a first event, which shows that the job runs. Return the seconds.

    Raises AssertionError if no row appears.
    """
    source = SOURCES["ads"]
    publisher = AvroPublisher(settings, topic, source.contract(topic))
    began = time.monotonic()
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        read = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id = ?")
        for number in itertools.count():
            record = next(source.records(number, Mix(keys=1), Timeline(0, 0.0, now_ms)))
            send_all(publisher, [record], 0, threading.Event(), lambda _sent, _acknowledged: None)
            until = time.monotonic() + 1
            while time.monotonic() < until:
                if session.execute(read, (record.key,)).one():
                    return time.monotonic() - began
                time.sleep(0.02)
            alive()
            if time.monotonic() > began + READY_SECONDS:
                break
    raise AssertionError(f"the job wrote nothing in {READY_SECONDS:.0f} s")
