"""How long from an event's sending until its ad's row can be read in Cassandra: `python -m benchmarks.latency`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. A process sends ads at a
steady rate, and among them probes: each the only event of an ad of its own. A reader asks Cassandra for the probes that
it has not seen yet; the latency is when it sees one, less the probe's event time, which is taken as it is sent.
"""

import itertools
import math
import multiprocessing
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Annotated

import typer
from cassandra.cluster import Session
from matplotlib.figure import Figure
from pyspark.sql import SparkSession
from rich.console import Console

from adstream.cassandra import connect
from adstream.provision import prepare_topic
from adstream.settings import Settings
from benchmarks import page, plots
from benchmarks.pipeline import GOOD, command, own_pipeline, running
from producer.events import SOURCES
from producer.pace import Pace
from producer.publisher import AvroPublisher
from producer.records import Record
from producer.run import run as send_all
from producer.timeline import Timeline, to_millis
from producer.traffic import Mix
from streaming.session import spark_session
from streaming.sources import Topic

HEAD = ("events/s", "trigger, ms", "p50, ms", "p95, ms", "p99, ms", "probes", "not seen", "events/s sent")
RATES = (1_000, 5_000, 10_000, 20_000)
TRIGGERS = (0, 500, 1_000, 3_000)
PROBES_PER_SECOND = 10
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
READY_SECONDS = 120.0
SHORTEST_WAIT_SECONDS = 0.002


def now_ms() -> int:
    return to_millis(datetime.now(UTC))


def load(topic: str, rate: int, seconds: float, told: Connection) -> None:
    """A process of its own: sends for so long, and tells each probe's id and time, then how many events there were.

    Settings come from the environment. An event is made when it is due, so its time is that of its sending.
    """
    source = SOURCES["ads"]
    publisher = AvroPublisher(Settings(), topic, source.contract(topic))
    traffic = source.records(secrets.randbits(32), GOOD, Timeline(0, 0.0, now_ms))
    every = max(1, rate // PROBES_PER_SECOND)

    def records() -> Iterator[Record]:
        pace = Pace(rate)
        for position in range(int(rate * seconds)):
            while (ahead := pace.ahead(position)) > SHORTEST_WAIT_SECONDS:
                time.sleep(ahead)
            record = next(traffic)
            if position % every == 0:
                ad = f"probe-{secrets.token_hex(6)}"
                record = Record(ad, record.event | {"ad_id": ad})
                told.send((ad, record.event["timestamp"]))
            yield record

    began = time.perf_counter()
    send_all(publisher, records(), 0, threading.Event(), lambda _sent, _acknowledged: None)
    told.send(publisher.acknowledged / (time.perf_counter() - began))


class Reader:
    """Looks for probes in `ad_metrics`: `seen` has the latency of each, in milliseconds, by the probe's event time."""

    def __init__(self, session: Session, told: Connection) -> None:
        self._session = session
        self._told = told
        self._read = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id IN ?")
        self.pending: dict[str, int] = {}
        self.seen: list[tuple[int, int]] = []
        self.rate: float | None = None

    def poll(self) -> None:
        """Ask once for all that are due, then wait for the rest of the 20 ms."""
        until = time.monotonic() + POLL_SECONDS
        while self.rate is None and self._told.poll():
            heard = self._told.recv()
            if isinstance(heard, float):
                self.rate = heard
            else:
                self.pending[heard[0]] = heard[1]
        if self.pending:
            rows = list(self._session.execute(self._read, (list(self.pending),)))
            at = now_ms()
            for row in rows:
                sent = self.pending.pop(row.ad_id)
                self.seen.append((sent, at - sent))
        time.sleep(max(0.0, until - time.monotonic()))


def measure(spark: SparkSession, settings: Settings, rate: int, trigger: int, warm: float, seconds: float) -> Reader:
    """Latencies of the probes sent in the `seconds` that follow `warm` seconds of the same load."""
    topic = f"{settings.topic.ads}-{secrets.token_hex(3)}"
    prepare_topic(settings, topic, "ads_data")
    context = multiprocessing.get_context("spawn")
    latest = Topic(settings, topic, start="latest")
    with (
        connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session,
        running(spark, settings, latest, timedelta(milliseconds=trigger)) as job,
    ):
        first = _probe(settings, topic, session, job)
        reads, writes = context.Pipe(duplex=False)
        reader = Reader(session, reads)
        sender = context.Process(target=load, args=(topic, rate, warm + seconds, writes), daemon=True)
        sender.start()
        while reader.rate is None and sender.is_alive() and job.is_alive():
            reader.poll()
        end = time.monotonic() + PATIENCE_SECONDS
        while (reader.rate is None or reader.pending) and time.monotonic() < end and job.is_alive():
            reader.poll()
        sender.join()
    if reader.rate is None or not reader.seen:
        raise AssertionError(f"nothing was measured at {rate}/s with trigger {trigger} ms, after {first} s")
    begin = min(sent for sent, _ in reader.seen) + warm * 1_000
    reader.seen = [(sent, latency) for sent, latency in reader.seen if sent >= begin]
    return reader


def _probe(settings: Settings, topic: str, session: Session, job: threading.Thread) -> float:
    """Seconds until the job has written a first event: then it runs."""
    read = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id = ?")
    source = SOURCES["ads"]
    began = time.monotonic()
    for number in itertools.count():
        record = next(source.records(number, Mix(keys=1), Timeline(0, 0.0, now_ms)))
        publisher = AvroPublisher(settings, topic, source.contract(topic))
        send_all(publisher, [record], 0, threading.Event(), lambda _sent, _acknowledged: None)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            if session.execute(read, (record.key,)).one():
                return time.monotonic() - began
            time.sleep(POLL_SECONDS)
        if not job.is_alive() or time.monotonic() > began + READY_SECONDS:
            break
    raise AssertionError("the job does not write: see its log")


def at_share(latencies: list[int], share: float) -> int:
    """The latency that `share` of the probes have at most."""
    ordered = sorted(latencies)
    return ordered[math.ceil(share * len(ordered)) - 1]


def main(
    rate: Annotated[list[int], typer.Option(help="Events a second; may be repeated.")] = list(RATES),  # noqa: B006
    trigger: Annotated[list[int], typer.Option(help="Milliseconds; may be repeated.")] = list(TRIGGERS),  # noqa: B006
    seconds: Annotated[float, typer.Option(min=1, help="Measured per combination.")] = 30.0,
    warm: Annotated[float, typer.Option(min=0, help="Seconds of the same load before.")] = 10.0,
) -> None:
    """Measure, print a line per combination, and write the results."""
    settings, console = own_pipeline(), Console(highlight=False)
    lines, kept = [], []
    plotted: dict[int, dict[str, dict[float, list[float]]]] = {50: {}, 99: {}}
    with spark_session(settings, "benchmark") as spark:
        measure(spark, settings, rate[0], trigger[0], warm, seconds)  # only warms up
        for each, milliseconds in itertools.product(rate, trigger):
            reader = measure(spark, settings, each, milliseconds, warm, seconds)
            found = [latency for _, latency in reader.seen]
            shares = {percent: at_share(found, percent / 100) for percent in (50, 95, 99)}
            numbers = (each, milliseconds, *shares.values(), len(found), len(reader.pending), round(reader.rate or 0.0))
            lines.append(tuple(f"{number:,}" for number in numbers))
            console.print(dict(zip(HEAD, lines[-1], strict=True)))
            kept.append({"rate": each, "trigger_ms": milliseconds, "sent_rate": reader.rate, "latencies_ms": found})
            for percent, series in plotted.items():
                series.setdefault(f"trigger {milliseconds:,} ms", {})[each] = [shares[percent]]

    def draw(figure: Figure) -> None:
        for axes, (percent, series) in zip(figure.subplots(1, 2, sharey=True), plotted.items(), strict=True):
            plots.lines(axes, series, "events/s", "ms until the row can be read", log="xy")
            axes.set_title(f"p{percent}", fontsize="medium")
            axes.label_outer()
        plots.legend(figure)

    intro = [f"{seconds:.0f} s per line, after {warm:.0f} s of the same load.", page.conditions()]
    shown = page.plot("latency", "Latency by events a second, a line for each trigger", draw)
    page.write("latency", intro, HEAD, lines, picture=shown, runs=kept)


if __name__ == "__main__":
    command(main)
