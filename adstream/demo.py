"""The demo: from nothing to `ad_metrics` in cqlsh, on real services, checked by an independent computation.

Each step calls the code of the command of the same name. If a step fails, or on Ctrl-C, the demo stops the services
again unless they ran before. Their data stay. The dashboard is not a step: the demo is complete without it.
"""

import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from time import monotonic

from rich.text import Text

from adstream import cqlsh
from adstream.verify.report import report
from common.cassandra.migrations import migrate
from common.errors import AdstreamError
from common.provision import prepare
from common.settings import Settings
from common.text.terminal import Terminal
from producer.events import SOURCES
from producer.plan import Wish, plan
from producer.progress import RunProgress
from producer.publisher import AvroPublisher
from producer.run import run
from producer.traffic import Mix
from stack import dashboard, local
from stack.host.signals import ending_raises
from stack.state import Entry
from streaming.jobs import JOBS
from streaming.launch import launch
from streaming.monitoring.listener import Listener
from streaming.query.options import Options

JOB = "ad-metrics"
MIX = Mix(keys=20, late=0.01, out_of_order=0.05, duplicates=0.02, broken=0.005)
SPAN = "5m"

TOP = "SELECT * FROM ad_metrics LIMIT 10"
ONE_AD = "SELECT * FROM ad_metrics_by_window WHERE ad_id = 'ad-001' AND day = '{day}' LIMIT 10"


class Demo:
    """One run of the demo, printed to `out`. The dashboard and the services stay up afterwards."""

    def __init__(self, out: Terminal, events: int, *, dashboard: bool = True) -> None:
        self._out = out
        self._events = events
        self._dashboard = dashboard
        self._step = 0

    def run(self) -> None:
        """Go through all steps. Raises the error of the step that failed."""
        with ending_raises():
            ran_before = [one for one in local.status(Settings()) if one.pid]
            try:
                self._run()
            except BaseException:
                if not ran_before:
                    local.down(Settings(), report=self._out.print)
                raise

    def _run(self) -> None:
        with self._named("Starting Kafka, the schema registry and Cassandra"):
            local.up(Settings(), report=self._out.print)
        settings = Settings()
        with self._named("Making topics, schemas, keyspace and tables"):
            self._prepare(settings)
        with self._named(f"Producing {self._events:,} ad events of the last 5 minutes"):
            self._produce(settings)
        with self._named("Running the ad-metrics job until all of them are in Cassandra"):
            self._stream(settings)
        begun = self._begin_dashboard(settings) if self._dashboard else None
        with self._named("Reading the tables with cqlsh"):
            self._read(settings)
        with self._named("Comparing the tables with an independent computation over the raw topic"):
            report(settings, settings.checkpoints / JOB, self._out)
        if begun is not None:
            self._show_dashboard(begun)
        self._what_next()

    @contextmanager
    def _named(self, title: str) -> Iterator[None]:
        self._step += 1
        self._out.print(f"\n{self._step}/6 {title}", style="bold")
        start = monotonic()
        yield
        self._out.print(f"{monotonic() - start:.1f} s", style="dim")

    def _prepare(self, settings: Settings) -> None:
        prepared = prepare(settings)
        for topic in prepared.new_topics:
            self._out.print(f"topic {topic} made")
        for found in prepared.schemas:
            self._out.print(f"schema {found.subject} version {found.version} has id {found.id}")
        for warning in prepared.warnings:
            self._out.print(f"warning: {warning}")
        for applied in migrate(settings, report=self._out.print):
            self._out.print(
                f"migration {applied.version:03d} {applied.name} {'applied' if applied.new else 'is there'}"
            )

    def _produce(self, settings: Settings) -> None:
        source = SOURCES["ads"]
        decided = plan(Wish(count=self._events, over=SPAN), lambda: datetime.now(UTC))
        topic = source.topic(settings)
        publisher = AvroPublisher(settings, topic, source.contract(topic))
        records = islice(source.records(decided.seed, MIX, decided.timeline), self._events)
        with RunProgress(self._events) as progress:
            run(publisher, records, decided.rate, threading.Event(), progress)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in publisher.kinds.most_common())
        self._out.print(f"{publisher.acknowledged:,} acknowledged by Kafka (seed {decided.seed}): {kinds}")

    def _stream(self, settings: Settings) -> None:
        job = JOBS[JOB]
        launch(
            settings,
            job,
            Options(trigger=job.trigger, once=True),
            listener=Listener(
                batch=lambda report: self._out.print(str(report)), notice=lambda line: self._out.print(line)
            ),
            stopping=threading.Event(),
        )

    def _read(self, settings: Settings) -> None:
        # The last minutes may be yesterday's.
        windows = ONE_AD.format(day=datetime.now(UTC).date())
        for statement in (TOP, windows):
            self._out.print(f"cqlsh> {statement};")
            found = cqlsh.query(settings.cassandra, statement, color=self._out.is_terminal)
            self._out.print(Text.from_ansi(found))

    def _begin_dashboard(self, settings: Settings) -> Entry | None:
        """Start the dashboard beside the last steps, which do not need both cores."""
        try:
            return dashboard.begin(settings)
        except AdstreamError as error:
            self._out.print(f"The dashboard is left out: {error}")
            return None

    def _show_dashboard(self, begun: Entry) -> None:
        try:
            self._out.print(f"\nThe dashboard is at {dashboard.answering(begun)}")
        except AdstreamError as error:
            self._out.print(f"\nThe dashboard is left out: {error}")

    def _what_next(self) -> None:
        program = "adstream" if shutil.which("adstream") else shlex.quote(os.path.relpath(sys.argv[0]))
        self._out.print(
            "\nThe services go on running. Next, in two terminals, then in a third:\n"
            f"  {program} produce ads --rate 500\n"
            f"  {program} stream ad-metrics\n"
            f"  {program} consume ads_data --count 5\n"
            f"Stop everything with: {program} down",
        )
