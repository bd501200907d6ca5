"""What ad-metrics' state costs by how many ads it knows: `python -m benchmarks.state`. No service is needed.

The state is first filled with every ad, once. Then come batches in which only 1,000 ads are active: if a batch costs
what is active, its time does not depend on how many ads are known. Messages are files here, one batch each, and rows
are written nowhere, so that what is measured is decoding, judging and state. Each way to keep the state has a JVM of
its own, and takes the sizes from the smallest to the largest.
"""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from matplotlib.figure import Figure
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from rich.console import Console

from adstream import contracts, wire
from adstream.settings import Settings
from benchmarks import page, plots
from benchmarks.pipeline import JOB, command
from streaming.jobs import find
from streaming.pipeline import Pipeline
from streaming.session import spark_session

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ACTIVE, EVENTS, FIRST_BATCH = 1_000, 20_000, 500_000
WARM, COUNTED = 2, 5
WAYS = tuple(itertools.product(("rocksdb", "memory"), (True, False)))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAMPLE_SECONDS = 0.2
MIB = 2**20
HEAD = (
    *("state", "ads", "batch, ms: median (range)", "rows out", "rows in state", "state, MiB", "its files, MiB"),
    *("heap used, MiB", "JVM at most, MiB", "Python at most, MiB"),
)


@dataclass
class Measured:
    """One way to keep the state at one size; memory in MiB, `heap` after a collection."""

    store: str
    dedupe: bool
    ads: int
    batch_ms: list[float] = field(default_factory=list)
    rows_out: int = 0
    rows: int = 0
    memory: float = 0.0
    files: float = 0.0
    heap: float = 0.0
    jvm: float = 0.0
    python: float = 0.0

    @property
    def way(self) -> str:
        return f"{'RocksDB' if self.store == 'rocksdb' else 'in memory'}, dedupe {'on' if self.dedupe else 'off'}"


def as_messages(events: DataFrame) -> DataFrame:
    """Events of `number`, `ad` and `time` as Kafka would give them: newest contract, schema id 1, arrival at `time`."""
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


def write_messages(spark: SparkSession, ads: int, folder: Path) -> int:
    """Every ad once, then batches of the same 1,000, all over the size; two files each. Returns how many batches."""
    sizes = [min(FIRST_BATCH, ads - done) for done in range(0, ads, FIRST_BATCH)]
    first = 0
    for batch, size in enumerate([*sizes, *[EVENTS] * (WARM + COUNTED)]):
        number = F.col("id")
        active = number % min(ACTIVE, ads) * max(1, ads // ACTIVE)
        spark.range(first, first + size).select(
            number.alias("number"),
            (number if batch < len(sizes) else active).alias("ad"),
            F.lit(NOW + timedelta(seconds=batch)).alias("time"),
        ).repartition(2).transform(as_messages).write.mode("append").parquet(str(folder))
        first += size
    return len(sizes) + WARM + COUNTED


@contextmanager
def peaks(into: Measured, jvm: psutil.Process) -> Iterator[None]:
    """Look at the resident memory of the JVM and of this process several times a second."""
    done, own = threading.Event(), psutil.Process()

    def look() -> None:
        while not done.wait(SAMPLE_SECONDS):
            into.jvm = max(into.jvm, jvm.memory_info().rss / MIB)
            into.python = max(into.python, own.memory_info().rss / MIB)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def measure(spark: SparkSession, store: str, dedupe: bool, ads: int, messages: Path, batches: int) -> Measured:
    found = Measured(store, dedupe, ads)
    plan = Pipeline(find(JOB).with_parameters(dedupe=dedupe), {1: contracts.latest("ads_data")}, json=False)
    stored = spark.read.parquet(str(messages)).schema
    stream = spark.readStream.schema(stored).option("maxFilesPerTrigger", 2).parquet(str(messages))
    virtual: Any = spark.sparkContext._jvm
    jvm = psutil.Process(virtual.java.lang.ProcessHandle.current().pid())
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as checkpoint, peaks(found, jvm):
        writer = plan.rows(stream).writeStream.format("noop").outputMode("update")
        query = writer.option("checkpointLocation", checkpoint).start()
        try:
            query.processAllAvailable()
            runtime = virtual.java.lang.Runtime.getRuntime()
            virtual.java.lang.System.gc()
            found.heap = (runtime.totalMemory() - runtime.freeMemory()) / MIB
            progress = [each for each in query.recentProgress if each["numInputRows"]]
        finally:
            query.stop()
            query.awaitTermination()
    virtual.org.apache.spark.sql.execution.streaming.state.StateStore.stop()  # else until the next minute
    if len(progress) != batches:
        raise AssertionError(f"{len(progress)} batches, must be {batches}")
    operators = progress[-1]["stateOperators"]
    found.batch_ms = [float(each["durationMs"]["triggerExecution"]) for each in progress[-COUNTED:]]
    found.rows_out = sum(each["numRowsUpdated"] for each in operators if each["operatorName"] == "stateStoreSave")
    found.rows = sum(each["numRowsTotal"] for each in operators)
    found.memory = sum(each["memoryUsedBytes"] for each in operators) / MIB
    found.files = sum(each["customMetrics"].get("rocksdbSstFileSize", 0) for each in operators) / MIB
    return found


def main(
    ads: Annotated[list[int], typer.Option(min=1_000, help="How many ads; may be repeated.")] = list(SIZES),  # noqa: B006
    memory: Annotated[str, typer.Option(help="Heap of the JVM; the job has 1g.")] = "4g",
) -> None:
    """Measure, and write the results after each way to keep the state."""
    console, settings = Console(highlight=False), Settings()
    results: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder:
        settings.data_dir = Path(folder)
        batches: dict[int, int] = {}
        for store, dedupe in WAYS:
            settings.spark = settings.spark.model_copy(
                update={"state_store": store, "driver_memory": memory, "ui": False}
            )
            with spark_session(settings, "bench") as spark:
                spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", False)
                for turn, size in enumerate((min(ads), *sorted(ads))):
                    if size not in batches:
                        batches[size] = write_messages(spark, size, Path(folder, f"messages-{size}"))
                    found = measure(spark, store, dedupe, size, Path(folder, f"messages-{size}"), batches[size])
                    if turn:  # the first one only warms up
                        results.append(found)
                        console.print(found)
            report(results, memory)


def report(results: list[Measured], memory: str) -> None:
    lines = [
        (
            *(each.way, f"{each.ads:,}", page.spread(each.batch_ms, 0), f"{each.rows_out:,}"),
            f"{each.rows:,}" if each.rows else "-",  # RocksDB does not count them
            *(f"{size:,.0f}" for size in (each.memory, each.files, each.heap, each.jvm, each.python)),
        )
        for each in results
    ]
    times: dict[str, dict[float, list[float]]] = {}
    heaps: dict[str, dict[float, list[float]]] = {}
    for each in results:
        times.setdefault(each.way, {})[each.ads] = each.batch_ms
        heaps.setdefault(each.way, {})[each.ads] = [each.heap]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        plots.lines(left, times, "ads known", f"ms for a batch of {EVENTS:,} events", log="x")
        plots.lines(right, heaps, "ads known", "heap used after a collection, MiB", log="x")
        plots.legend(figure)

    intro = [
        f"{COUNTED} batches of {EVENTS:,} events of {ACTIVE:,} ads, after {WARM} that warmed up; heap of {memory}.",
        page.conditions(),
    ]
    shown = page.plot("state", "Time of a batch and memory by how many ads are known", draw)
    page.write("state", intro, HEAD, lines, picture=shown, runs=[asdict(each) for each in results])


if __name__ == "__main__":
    command(main)
