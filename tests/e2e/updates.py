"""Rows of ad-metrics on the updates topic, as a real-time query sends them, and the tables that must result."""

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cassandra.cluster import Session
from confluent_kafka import Producer

from common import contracts
from common.bookkeeping.leases import now_micros
from common.cassandra.session import connect
from common.kafka import client_config
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder

CONTRACT = "ad_metrics.updates"
MINUTE = timedelta(minutes=1)
TURNS = 16


@dataclass
class Bucket:
    """A total, or a window that begins at `start`.

    It sums `count` events of one click, two views and the same cost.
    """

    ad: str
    start: datetime | None = None
    count: int = 0

    @property
    def key(self) -> bytes:
        parts: dict[str, str] = {"kind": "total" if self.start is None else "window", "ad_id": self.ad}
        if self.start is not None:
            parts["window_start"] = self.start.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return json.dumps(parts, separators=(",", ":")).encode()

    def row(self, lease: int, now: datetime) -> dict[str, Any]:
        views = 2 * self.count
        cost = self.count * Decimal("0.010001")
        return {
            "version": lease + TURNS * self.count,
            "newest_event": now,
            "kind": "total" if self.start is None else "window",
            "ad_id": self.ad,
            "window_start": self.start,
            "window_end": None if self.start is None else self.start + MINUTE,
            "total_clicks": self.count,
            "total_views": views,
            "total_cost": cost,
            "avg_cost_per_view": (cost / views).quantize(Decimal("0.000001")) if views else None,
        }


@dataclass
class Updates:
    """Counts events, and sends the rows that they change.

    Each ad has a total and two windows. Events go to the ads in rotation.
    """

    settings: Settings
    ads: int = 20
    lease: int = field(default_factory=now_micros)
    start: datetime = field(default_factory=lambda: datetime.now(UTC).replace(second=0, microsecond=0))
    events: int = 0

    def __post_init__(self) -> None:
        topic = self.settings.topic.updates
        registered = RegistryClient(self.settings.registry).latest(f"{topic}-value")
        self._encode = Encoder(registered, contracts.latest(CONTRACT))
        self._producer = Producer(
            client_config(self.settings.kafka) | {"linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
        )
        starts = (None, self.start, self.start - timedelta(seconds=30))
        self.buckets = [[Bucket(f"ad-{number:05}", start) for start in starts] for number in range(self.ads)]

    def event(self) -> None:
        """Count one event, and send the newest state of its three rows."""
        now = datetime.now(UTC)
        for bucket in self.buckets[self.events % self.ads]:
            bucket.count += 1
            self.send(bucket.key, bucket.row(self.lease, now))
        self.events += 1

    def send(self, key: bytes | None, row: dict[str, Any] | bytes | None) -> None:
        value = self._encode(row) if isinstance(row, dict) else row
        self._producer.produce(self.settings.topic.updates, value, key)

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    def at_rate(self, rate: float, seconds: float) -> None:
        """Send events evenly for `seconds`, each on time as far as this machine can."""
        self._evenly(rate, time.monotonic() + seconds, threading.Event())

    def until(self, stop: threading.Event, rate: float) -> None:
        """Send events evenly until `stop` is set."""
        self._evenly(rate, float("inf"), stop)

    def _evenly(self, rate: float, end: float, stop: threading.Event) -> None:
        began, sent = time.monotonic(), 0
        while not stop.is_set() and (now := time.monotonic()) < end:
            for _ in range(int((now - began) * rate) - sent):
                self.event()
                sent += 1
            self._producer.poll(0.002)
        self.flush()

    def rows(self) -> dict[tuple[str, datetime | None], tuple[int, int, Decimal, int]]:
        """Return the final content of the tables: clicks, views, cost and timestamp, by ad and window."""
        return {
            (each.ad, each.start): (
                each.count,
                2 * each.count,
                each.count * Decimal("0.010001"),
                self.lease + TURNS * each.count,
            )
            for ad in self.buckets
            for each in ad
            if each.count
        }


def stored(settings: Settings) -> dict[tuple[str, datetime | None], tuple[int, int, Decimal, int]]:
    """Read the tables, in the form of `Updates.rows`."""
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        return stored_by(session)


def stored_by(session: Session) -> dict[tuple[str, datetime | None], tuple[int, int, Decimal, int]]:
    """Read the tables over an open session, in the form of `Updates.rows`."""
    columns = "ad_id, total_clicks, total_views, total_cost, writetime(total_clicks) AS written"
    totals = list(session.execute(f"SELECT {columns} FROM ad_metrics"))
    windows = list(session.execute(f"SELECT {columns}, window_start FROM ad_metrics_by_window"))
    found = {(row.ad_id, None): row for row in totals}
    found |= {(row.ad_id, row.window_start.replace(tzinfo=UTC)): row for row in windows}
    return {place: (row.total_clicks, row.total_views, row.total_cost, row.written) for place, row in found.items()}
