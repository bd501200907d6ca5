"""Shared parts of the benchmarks: a pipeline of their own, messages, and runs of ad-metrics from the start."""

import logging
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import typer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pyspark.sql import SparkSession

from adstream import reset
from common import kafka
from common.cassandra.migrations import migrate
from common.errors import AdstreamError
from common.provision import prepare, prepare_topic
from common.settings import Settings
from producer.events import SOURCES
from producer.plan import Wish, plan
from producer.publisher import AvroPublisher
from producer.run import run as send_all
from producer.traffic import Mix
from streaming.job import Job
from streaming.jobs import find
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.sinks.sink import tables_of
from streaming.sources import Topic

JOB = "ad-metrics"
STOP_SECONDS = 300.0
# In a line of a job: where its endpoint is.
ADDRESS = re.compile(r"(http://\S+)/metrics")
GOOD = Mix(keys=1_000)
# Events get times of the five minutes before they are sent. More events than this are sent in slices.
SLICE, SPAN = 1_000_000, "5m"


Process = subprocess.Popen[str]


def command(main: Callable[..., Any]) -> None:
    """Run `main` with the options of the command line.

    Prints a user's error as one line. Libraries write no log.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        typer.run(main)
    except AdstreamError as error:
        sys.exit(f"error: {error}")


def own_pipeline(name: str | None = None, *, events_per_batch: int = 500_000) -> Settings:
    """Make topics and a keyspace of a benchmark's own. Processes that start here find them, too."""
    settings = own_topics(name, events_per_batch=events_per_batch)
    migrate(settings)
    return settings


def own_topics(name: str | None = None, *, events_per_batch: int = 500_000) -> Settings:
    """Do the same without the keyspace: only its name is set."""
    name = name or f"bench_{secrets.token_hex(3)}"
    os.environ |= {
        "ADSTREAM_TOPIC_ADS": name,
        "ADSTREAM_TOPIC_DEAD_LETTERS": f"{name}.dead-letters",
        "ADSTREAM_TOPIC_UPDATES": f"{name}.updates",
        "ADSTREAM_CASSANDRA_KEYSPACE": name,
        "ADSTREAM_SPARK_UI": "false",
        "ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": str(events_per_batch),
    }
    settings = Settings()
    prepare(settings)
    return settings


def configure(settings: Settings, topic: str, values: Mapping[str, str | int]) -> None:
    """Set these properties of the topic."""
    wanted = [
        ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET) for name, value in values.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=wanted)
    admin = AdminClient(kafka.client_config(settings.kafka))
    admin.incremental_alter_configs([resource])[resource].result(timeout=settings.kafka.timeout_seconds)


def produce(settings: Settings, topic: str, messages: int, mix: Mix = GOOD) -> float:
    """Send messages of the last minutes at full speed. Return the seconds until all are acknowledged."""
    prepare_topic(settings, topic, "ads_data")
    source = SOURCES["ads"]
    began = time.perf_counter()
    for sent in range(0, messages, SLICE):
        count = min(SLICE, messages - sent)
        decided = plan(Wish(count=count, over=SPAN), lambda: datetime.now(UTC))
        publisher = AvroPublisher(settings, topic, source.contract(topic))
        records = islice(source.records(decided.seed, mix, decided.timeline), count)
        send_all(publisher, records, 0, threading.Event(), lambda _sent, _acknowledged: None)
    return time.perf_counter() - began


@contextmanager
def fresh(
    spark: SparkSession,
    settings: Settings,
    source: Topic,
    *,
    job: Job | None = None,
    trigger: timedelta | None = None,
    batch: Callable[[BatchReport], None] = lambda _report: None,
    stopping: threading.Event | None = None,
) -> Iterator[Runner]:
    """Yield a runner of the job with empty tables and a new checkpoint.

    Without a `trigger` the run processes the present messages and ends.
    """
    job = job or find(JOB)
    reset.reset(settings, reset.Plan(JOB, None, None, tables_of(job.sinks)), lambda _line: None)
    with tempfile.TemporaryDirectory() as folder:
        once = trigger is None
        options = Options(trigger or timedelta(0), once=once, checkpoint=f"{folder}/checkpoint", source=source)
        listener = Listener(batch=batch, notice=lambda _line: None)
        yield Runner(spark, settings, job, options, listener=listener, stopping=stopping or threading.Event())


def timed(spark: SparkSession, settings: Settings, topic: str, **how: Any) -> float:  # noqa: ANN401 - as `fresh`
    """Return the seconds that the job takes for the whole topic."""
    with fresh(spark, settings, Topic(settings, topic), **how) as runner:
        began = time.perf_counter()
        runner.run()
        return time.perf_counter() - began


@contextmanager
def running(spark: SparkSession, settings: Settings, source: Topic, trigger: timedelta) -> Iterator[threading.Thread]:
    """Run the job in a thread until the block ends."""
    stopping = threading.Event()
    with fresh(spark, settings, source, trigger=trigger, stopping=stopping) as runner:
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            yield thread
        finally:
            stopping.set()
            thread.join()


@contextmanager
def started(*arguments: str, **how: Any) -> Iterator[Process]:  # noqa: ANN401 - as subprocess.Popen
    """Run `adstream` with these arguments until the block ends.

    The process has a session of its own, so that Ctrl-C reaches only the benchmark.
    """
    asked = [sys.executable, "-m", "adstream.cli", *arguments]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, start_new_session=True, **how)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
