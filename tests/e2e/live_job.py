"""Runs a job of the catalogue on real services, in the test's own process.

Each run has a topic and a checkpoint of its own.
"""

import io
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from common.bookkeeping import job_checkpoints
from common.cassandra.session import connect
from common.provision import prepare_topic
from common.settings import Settings
from producer.events import of_contract
from producer.publisher import AvroPublisher
from producer.records import Record
from producer.run import run as send_all
from producer.timeline import to_millis
from streaming.job import Job
from streaming.jobs import find
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.sources import Source, Topic
from tests.e2e.commands import everything_on

Event = dict[str, Any]


@dataclass
class LiveJob:
    """One job. `topic` belongs to it alone, and so does `checkpoint` until a test replaces it."""

    spark: SparkSession
    settings: Settings
    job: Job
    checkpoint: Path
    topic: str = ""
    source: Source | None = None
    notices: list[str] = field(default_factory=list)

    @classmethod
    def named(cls, spark: SparkSession, settings: Settings, name: str, folder: Path) -> "LiveJob":
        job = find(name)
        live = cls(
            spark, settings, job, folder / f"checkpoint-{secrets.token_hex(2)}", f"{name}-{secrets.token_hex(4)}"
        )
        prepare_topic(settings, live.topic, job.contract)
        return live

    def sample(self) -> list[list[Record]]:
        """Return the documented data, step by step."""
        return of_contract(self.job.contract).sample_steps(self.job.name, to_millis(datetime.now(UTC)))

    def send(self, records: Iterable[Record]) -> None:
        source = of_contract(self.job.contract)
        publisher = AvroPublisher(self.settings, self.topic, source.contract(self.topic))
        send_all(publisher, records, 0, threading.Event(), lambda _sent, _acknowledged: None)

    def send_events(self, *events: Event) -> None:
        key = of_contract(self.job.contract).key
        self.send(Record(str(event[key]), event) for event in events)

    def run(self) -> list[BatchReport]:
        """Process all present messages. Return the reports of the batches."""
        reports: list[BatchReport] = []
        options = Options(
            self.job.trigger,
            once=True,
            checkpoint=str(self.checkpoint),
            source=self.source or Topic(self.settings, self.topic),
        )
        listener = Listener(batch=reports.append, notice=self.notices.append)
        Runner(self.spark, self.settings, self.job, options, listener=listener, stopping=threading.Event()).run()
        return reports

    def begin_anew(self) -> None:
        """Let the next run count everything again, over the tables as they are."""
        self.checkpoint = self.checkpoint.with_name(f"{self.checkpoint.name}-anew")
        job_checkpoints.forget(self.settings.cassandra, self.job.name)

    def messages(self) -> list[Event]:
        """Return the topic's messages, decoded by fastavro. Times are aware datetimes."""
        return decoded(self.settings, self.topic, self.job.contract)

    def rows(self, table: str) -> list[Event]:
        """Return all rows of a Cassandra table. Times are aware datetimes."""
        with connect(self.settings.cassandra, keyspace=self.settings.cassandra.keyspace) as session:
            found = list(session.execute(f"SELECT * FROM {table}"))
        return [{name: _aware(value) for name, value in row._asdict().items()} for row in found]

    def lakehouse_rows(self, table: str) -> list[Event]:
        """Return all rows of an Iceberg table. Times are aware datetimes."""
        lakehouse = self.settings.lakehouse
        found = self.spark.table(f"{lakehouse.catalog}.{lakehouse.namespace}.{table}").collect()
        return [{name: _aware(value) for name, value in row.asDict().items()} for row in found]


def decoded(settings: Settings, topic: str, contract: str) -> list[Event]:
    schema = fastavro.parse_schema(contracts.latest(contract).schema)
    values = [message.value() or b"" for message in everything_on(settings, topic)]
    return [fastavro.schemaless_reader(io.BytesIO(value[wire.HEADER_BYTES :]), schema, None) for value in values]  # type: ignore[misc]


def _aware(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
