"""A pipeline of a test's own on the session's stack: topics, schemas, keyspace, tables and checkpoint."""

import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Message
from pyspark.sql import SparkSession

from adstream.verify.ad_metrics import Verified, verify
from common.cassandra.cql_files import committed
from common.cassandra.migrations import migrate
from common.provision import prepare
from common.settings import Settings
from streaming.job import Job
from streaming.jobs import find
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from tests.e2e.commands import adstream, everything_on

JOB = find("ad-metrics")
# The tables of ad-metrics. A test of one job needs no others.
AD_TABLES = (
    "ad_metrics", "ad_metrics_by_window", "writer_leases", "job_checkpoints", "late_events", "backfills",
)  # fmt: skip


def prepared(patch: pytest.MonkeyPatch) -> Settings:
    """Make topics, schemas and a keyspace under names that nobody else has. Subprocesses find them, too."""
    name = secrets.token_hex(4)
    patch.setenv("ADSTREAM_TOPIC_ADS", f"ads-{name}")
    patch.setenv("ADSTREAM_TOPIC_DEAD_LETTERS", f"dead-{name}")
    patch.setenv("ADSTREAM_TOPIC_UPDATES", f"updates-{name}")
    patch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"ads_{name}")
    patch.setenv("ADSTREAM_SPARK_UI", "false")
    settings = Settings()
    prepare(settings)
    return settings


def make_tables(settings: Settings, tables: Collection[str]) -> None:
    """Make these tables, in a keyspace that has none."""
    migrate(settings, migrations=[each for each in committed() if each.name in tables])


def make_ad_tables(settings: Settings) -> None:
    make_tables(settings, AD_TABLES)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline. `settings` and the environment name its own topics and keyspace, so the program finds them, too."""

    settings: Settings
    checkpoint: Path

    def produce(self, *arguments: str) -> str:
        """Send events. Return the producer's output."""
        done = adstream("produce", "ads", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def stream_command(self) -> tuple[str, ...]:
        return "stream", "ad-metrics", "--checkpoint", str(self.checkpoint)

    def stream_once(self, *arguments: str) -> str:
        """Process all present messages. Return the job's output."""
        done = adstream(*self.stream_command, "--once", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, spark: SparkSession, *, checkpoint: Path | None = None, job: Job = JOB) -> list[str]:
        """Process all present messages in the test's own session. Return the lines.

        This takes a fraction of `stream_once`'s time.
        """
        lines: list[str] = []
        options = Options(job.trigger, once=True, checkpoint=str(checkpoint or self.checkpoint))
        listener = Listener(batch=lambda report: lines.append(str(report)), notice=lines.append)
        Runner(spark, Settings(), job, options, listener=listener, stopping=threading.Event()).run()
        return lines

    def verified(self, tell: Callable[[Verified], None] = lambda _found: None) -> Verified:
        """Compare tables and oracle. Return the result.

        Every cell must agree, there must be at least one, and the ledger must explain every offset. `tell` gets the
        result also where something differs.
        """
        found = verify(self.settings, self.checkpoint)
        tell(found)
        assert found.equal, (found.comparison.differences, found.ledger.puzzles)
        assert found.comparison.cells > 0
        return found

    def messages(self) -> list[Message]:
        return everything_on(self.settings, self.settings.topic.ads)

    def dead_letters(self) -> list[Message]:
        return everything_on(self.settings, self.settings.topic.dead_letters)
