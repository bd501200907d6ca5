"""Measures a batch by the size of the state, with the jobs' state store and with Spark's own.

Two queries run in one JVM, each with a state of its own, and read the same events. Both are filled first. Then one
query after the other processes each batch. In the jobs' store (`adstream.IncrementalCleanupProvider`), the time since
the batch before decides how many entries a batch checks. This time does not include the other query's batch.

`over_an_hour` shows that ids leave the state. There, event time advances by thirty seconds with each batch, and the
store counts these thirty seconds.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from rich.console import Console

from benchmarks import page, plots
from benchmarks.pipeline import JOB
from benchmarks.soaking.series import growth
from benchmarks.soaking.watched import size
from common import contracts
from common.avro import wire
from common.settings import Settings
from streaming.jobs import find
from streaming.micro_batch.pipeline import Pipeline
from streaming.spark.session import spark_session
from streaming.spark.state_store import INCREMENTAL, PROVIDER, ROCKSDB

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 2**20
OURS, SPARKS = "of the jobs", "Spark's own"
STORES = {OURS: INCREMENTAL, SPARKS: ROCKSDB}
KNOWN = {"ids": (100_000, 1_000_000, 3_000_000, 6_000_000), "ads": (100_000, 1_000_000)}
ACTIVE, EVENTS, AT_ONCE = 1_000, 15_000, 500_000
WARM, COUNTED = 3, 21
CLEANUP_SECONDS = 60  # IncrementalCleanupProvider.WITHIN
STEP, STEPS, EVENTS_A_STEP = timedelta(seconds=30), 164, 10_000
HEAD = ("known", "state store", "batch, ms: median (range)", "removing, ms of tasks", "to the fewest", "to Spark's own")

Ads = Callable[[Column], Column]


def each_its_own(number: Column) -> Column:
    """Give each event an ad of its own."""
    return number


@dataclass
class Measured:
    """The counted batches of one store at one size.

    `removing` has the time of Spark's tasks for removal, in ms per batch.
    """

    kind: str
    known: int
    store: str
    batch_ms: list[float] = field(default_factory=list)
    removing: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.batch_ms)

    def add(self, progress: dict[str, Any]) -> None:
        self.batch_ms.append(float(progress["durationMs"]["triggerExecution"]))
        self.removing.append(float(sum(each["allRemovalsTimeMs"] for each in progress["stateOperators"])))


def as_messages(events: DataFrame) -> DataFrame:
    """Return the events as the Kafka source would, in the newest contract with schema id 1.

    `events` has `number`, `ad` and `time`. A message arrives at its `time`.
    """
    event = F.struct(
        F.concat(F.lit("ad-"), "ad").alias("ad_id"), F.col("time").alias("timestamp"), F.lit(1).alias("clicks"),
        F.lit(4).alias("views"), F.lit(0.5).alias("cost"), F.concat(F.lit("event-"), "number").alias("event_id"),
    )  # fmt: skip
    payload = to_avro(event, contracts.latest("ads_data").text)
    return events.select(
        F.lit(None).cast("binary").alias("key"), F.concat(F.lit(wire.header(1)), payload).alias("value"),
        F.lit("ads").alias("topic"), F.lit(0).alias("partition"), F.col("number").alias("offset"),
        F.col("time").alias("timestamp"),
    )  # fmt: skip


class Messages:
    """Writes events with distinct ids, a folder per batch."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark, self._folder = spark, folder
        self._numbers = itertools.count()
        self.events = 0
        self.schema = as_messages(self._made(0, each_its_own, NOW)).schema

    def batch(self, count: int, ads: Ads, moment: datetime = NOW) -> Path:
        """Write a batch as a folder with two files.

        By default all event times are equal, so nothing leaves the state.
        """
        folder = self._folder / str(next(self._numbers))
        as_messages(self._made(count, ads, moment)).repartition(2).write.parquet(str(folder))
        self.events += count
        return folder

    def _made(self, count: int, ads: Ads, moment: datetime) -> DataFrame:
        numbers = self._spark.range(self.events, self.events + count).withColumnRenamed("id", "number")
        return numbers.select("number", ads(F.col("number")).alias("ad"), F.lit(moment).alias("time"))


class Fed:
    """One query of the job over files. Its sink writes nowhere."""

    def __init__(self, spark: SparkSession, messages: Messages, folder: Path, provider: str) -> None:
        self._inbox = folder / "messages"
        self._inbox.mkdir(parents=True)
        self.checkpoint = folder / "checkpoint"
        spark.conf.set(PROVIDER, provider)
        plan = Pipeline(find(JOB), {1: contracts.latest("ads_data")}, json=False)
        files = spark.readStream.schema(messages.schema).option("recursiveFileLookup", True)
        writer = plan.rows(files.parquet(str(self._inbox))).writeStream.format("noop").outputMode("update")
        self._query = writer.option("checkpointLocation", str(self.checkpoint)).start()
        self._jvm: Any = spark._jvm
        self._last, self._lasted = time.monotonic(), 1.0

    def take(self, batch: Path, after: float | None = None) -> dict[str, Any]:
        """Process the batch. Return Spark's progress.

        The store behaves as if the batch came `after` so many seconds, or at once.
        """
        waited = time.monotonic() - self._last
        within = CLEANUP_SECONDS * (waited + self._lasted) / (after or self._lasted)
        self._jvm.java.lang.System.setProperty("adstream.cleanup.seconds", str(round(within)))
        passing = self._inbox.parent / batch.name
        passing.mkdir()
        for file in batch.glob("*.parquet"):
            os.link(file, passing / file.name)
        passing.rename(self._inbox / batch.name)  # both files appear in one moment
        self._query.processAllAvailable()
        progress = dict([each for each in self._query.recentProgress if each["numInputRows"]][-1])
        self._last, self._lasted = time.monotonic(), progress["durationMs"]["triggerExecution"] / 1000
        return progress

    def stop(self) -> None:
        self._query.stop()
        self._query.awaitTermination()


def in_turns(spark: SparkSession, folder: Path, kind: str, sizes: Sequence[int], counted: int) -> Iterator[Measured]:
    """Run both stores at each size, the smallest first. The next size starts with the existing state."""
    messages = Messages(spark, folder / f"{kind}-messages")
    with ExitStack() as running:
        queries = {name: Fed(spark, messages, folder / f"{kind}-{name}", store) for name, store in STORES.items()}
        for query in queries.values():
            running.callback(query.stop)
        for known in sorted(sizes):
            while messages.events < known:
                every: Ads = each_its_own if kind == "ads" else lambda number: number % ACTIVE
                filling = messages.batch(min(AT_ONCE, known - messages.events), every)
                for query in queries.values():
                    query.take(filling)
            found = {name: Measured(kind, known, name) for name in queries}
            apart = known // ACTIVE if kind == "ads" else 1
            for turn in range(WARM + counted):
                batch = messages.batch(EVENTS, lambda number, apart=apart: number % ACTIVE * apart)  # type: ignore[misc]
                for name, query in sorted(queries.items(), reverse=bool(turn % 2)):
                    progress = query.take(batch)
                    if turn >= WARM:
                        found[name].add(progress)
            yield from found.values()


def over_an_hour(spark: SparkSession, folder: Path) -> dict[str, Any]:
    """Run an hour of event time after ids have begun to leave.

    Returns by batch: ids in the state, MiB of checkpoint, and ms.
    """
    messages = Messages(spark, folder / "hour-messages")
    query = Fed(spark, messages, folder / "hour", INCREMENTAL)
    found: dict[str, list[float]] = {"minutes": [], "ids": [], "checkpoint": [], "batch_ms": []}
    try:
        for step in range(STEPS):
            batch = messages.batch(EVENTS_A_STEP, lambda number: number % ACTIVE, NOW + step * STEP)
            progress = query.take(batch, STEP.total_seconds())
            found["minutes"].append(step * STEP / timedelta(minutes=1))
            ids = (each for each in progress["stateOperators"] if each["operatorName"] == "dedupeWithinWatermark")
            found["ids"].append(float(sum(each["numRowsTotal"] for each in ids)))
            found["checkpoint"].append(size(query.checkpoint) / MIB)
            found["batch_ms"].append(float(progress["durationMs"]["triggerExecution"]))
    finally:
        query.stop()
    return found


@contextmanager
def session(memory: str, folder: Path, *, count_rows: bool = False) -> Iterator[SparkSession]:
    settings = Settings()
    settings.data_dir = folder
    settings.spark = settings.spark.model_copy(
        update={"driver_memory": memory, "ui": False, "count_state_rows": count_rows}
    )
    with spark_session(settings, "bench") as spark:
        spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", False)
        # Otherwise an idle query looks for files a hundred times a second, beside the measured query.
        spark.conf.set("spark.sql.streaming.pollingDelay", "250ms")
        yield spark


def measure(console: Console, memory: str, known: dict[str, Sequence[int]], counted: int = COUNTED) -> None:
    """Measure each kind of `known`, ids or ads, at its sizes, and write the table."""
    results: list[Measured] = []
    for kind, sizes in known.items():
        with tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder, session(memory, Path(folder)) as spark:
            for each in in_turns(spark, Path(folder), kind, sizes, counted):
                console.print(each)
                results.append(each)
    report(results)


def report(results: Sequence[Measured]) -> None:
    lines = []
    for each in results:
        alike = [other for other in results if (other.kind, other.store) == (each.kind, each.store)]
        sparks = [o for o in results if (o.kind, o.known, o.store) == (each.kind, each.known, SPARKS)]
        lines.append(
            (
                f"{each.known:,} {each.kind}",
                each.store,
                *(page.spread(values, 0) for values in (each.batch_ms, each.removing)),
                *(f"{each.median / other[0].median:.2f}" for other in (alike, sparks)),
            )
        )
    times: dict[str, dict[float, list[float]]] = {}
    for each in results:
        if each.kind == "ids":
            times.setdefault(f"state store: {each.store}", {})[each.known] = each.batch_ms

    def draw(figure: Figure) -> None:
        plots.lines(figure.subplots(), times, "ids known", f"ms for a batch of {EVENTS:,} events", log="x")
        plots.legend(figure)

    intro = [
        f"{len(results[0].batch_ms)} batches of {EVENTS:,} events of {ACTIVE:,} ads, the stores in turns, dedupe on.",
        page.conditions(),
    ]
    picture = page.plot("state-growth", "Time of a batch by how many ids are known", draw) if times else ""
    page.write("state-growth", intro, HEAD, lines, picture=picture, runs=[asdict(each) for each in results])


def hour(memory: str) -> None:
    """Measure the hour of event time, and write its table."""
    with (
        tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder,
        session(memory, Path(folder), count_rows=True) as spark,
    ):
        found = over_an_hour(spark, Path(folder))
    watermark = find(JOB).watermark
    assert watermark is not None  # noqa: S101 - for the type checker
    least = (watermark // STEP) * EVENTS_A_STEP
    names = {"ids": "ids in state", "checkpoint": "checkpoint, MiB", "batch_ms": "batch, ms"}
    lines = []
    for series, name in names.items():
        late = found[series][STEPS // 2 :]
        mean, grown = growth(found["minutes"], found[series])
        lines.append((name, f"{mean:,.0f}", f"{min(late):,.0f} to {max(late):,.0f}", f"{grown:+.1%}"))
    intro = [
        f"{STEPS} batches of {EVENTS_A_STEP:,} events, {STEP.seconds} s of event time apart; {least:,} ids are needed.",
        page.conditions(),
    ]
    head = ("series", "mean, second half", "range, second half", "growth over it")
    page.write("state-hour", intro, head, lines, runs=found)
