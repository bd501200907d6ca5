"""What dead-lettering costs ad-metrics when nothing is bad, and what a flood does: `python -m benchmarks.dead_letters`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. Each round takes the same
good messages twice, either one first in turns: by the job as it is, and by one that counts neither late nor dead
messages on their way, and so publishes none. At the end it takes as many messages of which half are bad. Both plans
observe something, because that is what keeps Spark from decoding each message again for each part of a condition.
"""

import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from adstream import reset
from adstream.migrations import migrate
from adstream.provision import prepare, prepare_topic
from adstream.settings import Settings
from benchmarks import page
from producer.events import SOURCES
from producer.plan import Wish, plan
from producer.publisher import AvroPublisher
from producer.run import run as send_all
from producer.traffic import Mix
from streaming import pipeline
from streaming.job import Job
from streaming.jobs import find
from streaming.judge import counted
from streaming.progress import BatchReport
from streaming.runner import Listener, Options, Runner, tables_of
from streaming.session import spark_session
from streaming.sources import Topic

JOB = "ad-metrics"
# Each takes several times as long as a run over good messages.
FLOODS = 2


@dataclass
class Seconds:
    """One of each per round."""

    as_it_is: list[float] = field(default_factory=list)
    uncounted: list[float] = field(default_factory=list)
    flood: list[float] = field(default_factory=list)


def uncounted(judged: DataFrame, *_further: Column) -> DataFrame:
    """As streaming.judge.counted, and nobody counts what is late or dead."""
    good = judged.observe("judged", F.count(F.lit(1)).alias("messages")).where(F.col("outcome").isNull())
    return good.select("event.*", F.concat_ws(":", "topic", "partition", "offset").alias("position"))


@contextmanager
def counting_by(function: Callable[..., DataFrame]) -> Iterator[None]:
    """Let the job's plan use another function in place of `counted`."""
    kept = pipeline.counted
    pipeline.counted = function  # type: ignore[assignment]
    try:
        yield
    finally:
        pipeline.counted = kept


def own_pipeline(events_per_batch: int = 100_000) -> Settings:
    """Topics and a keyspace of a benchmark's own, and batches of a size that a small machine takes."""
    name = f"bench_{secrets.token_hex(3)}"
    os.environ |= {
        "ADSTREAM_TOPIC_ADS": name,
        "ADSTREAM_TOPIC_DEAD_LETTERS": f"{name}.dead-letters",
        "ADSTREAM_CASSANDRA_KEYSPACE": name,
        "ADSTREAM_SPARK_UI": "false",
        "ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": str(events_per_batch),
    }
    settings = Settings()
    prepare(settings)
    migrate(settings)
    return settings


def produce(settings: Settings, topic: str, messages: int, broken: float) -> None:
    """Messages of the last minutes, half of them `broken` or none."""
    prepare_topic(settings, topic, "ads_data")
    decided = plan(Wish(count=messages, over="5m"), lambda: datetime.now(UTC))
    source = SOURCES["ads"]
    publisher = AvroPublisher(settings, topic, source.contract(topic))
    records = islice(source.records(decided.seed, Mix(keys=1_000, broken=broken), decided.timeline), messages)
    send_all(publisher, records, 0, threading.Event(), lambda _sent, _acknowledged: None)


def timed(
    spark: SparkSession,
    settings: Settings,
    topic: str,
    *,
    job: Job | None = None,
    batch: Callable[[BatchReport], None] = lambda _report: None,
) -> float:
    """Seconds that the job takes for the whole topic, with a new checkpoint and empty tables; `batch` hears of each."""
    job = job or find(JOB)
    tables = tables_of(job.sinks)
    reset.reset(settings, reset.Plan(JOB, None, None, tables), lambda _line: None)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(job.trigger, once=True, checkpoint=f"{folder}/checkpoint", source=Topic(settings, topic))
        listener = Listener(batch=batch, notice=lambda _line: None)
        began = time.perf_counter()
        Runner(spark, settings, job, options, listener=listener, stopping=threading.Event()).run()
        return time.perf_counter() - began


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages per run.")] = 300_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, and write the result into docs/performance.md."""
    settings, console = own_pipeline(events_per_batch=500_000), Console()
    name = settings.topic.ads
    good, bad = f"{name}-good", f"{name}-bad"
    produce(settings, good, messages, 0.0)
    produce(settings, bad, messages, 0.5)
    load = os.getloadavg()[0]
    seconds = Seconds()
    with spark_session(settings, "benchmark") as spark:
        runs = [(seconds.as_it_is, counted), (seconds.uncounted, uncounted)]
        for number in range(rounds + 1):
            for taken, function in runs if number % 2 else reversed(runs):
                with counting_by(function):
                    taken.append(timed(spark, settings, good))
            one, two = seconds.as_it_is[-1], seconds.uncounted[-1]
            console.print(f"round {number}: {one:.1f} s as it is, {two:.1f} s uncounted")
        for taken, _ in runs:
            del taken[0]  # the first round only warms up
        for _ in range(min(rounds, FLOODS)):
            seconds.flood.append(timed(spark, settings, bad))
            console.print(f"{seconds.flood[-1]:.1f} s with half bad")
    write(seconds, messages, load)
    console.print(f"written to {page.PAGE.relative_to(Path.cwd())}")


def write(seconds: Seconds, messages: int, load: float) -> None:
    """The page's part."""

    def line(title: str, taken: list[float]) -> list[str]:
        ratios = [each / base for each, base in zip(taken, seconds.uncounted, strict=False)]
        return [title, page.spread([messages / each for each in taken], 0), page.spread(ratios, 2)]

    rounds = f"{len(seconds.as_it_is)} rounds in turns; load average {load:.1f} before"
    page.write(
        "dead-letters",
        [f"{messages:,} messages a run, {rounds}.", f"Machine: {page.machine()}."],
        ["run", "messages/s", "time against nobody counting"],
        [
            line("nothing bad, nobody counts", seconds.uncounted),
            line("nothing bad, the job as it is", seconds.as_it_is),
            line("half of the messages bad", seconds.flood),
        ],
    )


if __name__ == "__main__":
    typer.run(main)
