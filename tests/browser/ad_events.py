"""The ads' events that the dashboard's pages are about."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from common.settings import Settings
from producer.events import SOURCES
from producer.publisher import AvroPublisher
from producer.records import Record
from producer.run import run as send_all
from streaming.patterns.ad_metrics import SLIDE
from tests.e2e.pipeline import Pipeline

OVER = timedelta(minutes=5)
MIX = ("--ads", "12", "--late", "0.02", "--out-of-order", "0.1", "--duplicates", "0.02", "--broken", "0.02")
MIXED = 3_000
EVENTS = MIXED + 1
# A name that would take effect if anything read it as HTML, Markdown or an address.
HOSTILE = "<img src=x onerror=document.title='owned'> ![p](http://192.0.2.1/p.png) **b** $x$ `c`"


def produce(system: Pipeline) -> None:
    """Send EVENTS events of the last minutes, one with a hostile name.

    The mix ends where a window begins. So even the newest window holds the events of 30 seconds, of nearly all ads. A
    mix until now could give the newest window the events of a moment. Every page after its end would show few ads.
    """
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // SLIDE.seconds * SLIDE.seconds, UTC)
    start = f"{end - OVER:%Y-%m-%dT%H:%M:%SZ}"
    system.produce("--count", str(MIXED), "--start", start, "--over", f"{OVER.seconds}s", *MIX)
    at = int((end - timedelta(minutes=1)).timestamp() * 1_000)
    _send({"ad_id": HOSTILE, "timestamp": at, "clicks": 3, "views": 0, "cost": 99.0, "event_id": "hostile"})


def _send(event: dict[str, Any]) -> None:
    found, settings = SOURCES["ads"], Settings()
    topic = found.topic(settings)
    record = Record(str(event[found.key]), event)
    publisher = AvroPublisher(settings, topic, found.contract(topic))
    send_all(publisher, [record], 0, threading.Event(), lambda _sent, _acknowledged: None)
