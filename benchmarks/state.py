"""Measures the cost of ad-metrics' state by its size: `python -m benchmarks.state`. No service is needed.

benchmarks/state_growth.py has `--part growth` and `--part hour`. `--part ways` is here. It first fills the state with
every ad, once. Then only 1,000 ads are active in each batch. Messages are files, one batch each, and the sink writes
nowhere: the run measures decoding, judging and state. Each way to keep the state has a JVM of its own, with sizes from
the smallest to the largest.
"""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import typer
from matplotlib.figure import Figure
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from benchmarks import page, plots, state_growth
from benchmarks.pipeline import JOB, command
from benchmarks.state_growth import NOW, as_messages
from common import contracts
from common.settings import Settings, SparkSettings
from streaming.jobs import find
from streaming.micro_batch.pipeline import Pipeline
from streaming.spark import state_store
from streaming.spark.session import spark_session

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ACTIVE, EVENTS, FIRST_BATCH = 1_000, 20_000, 500_000
WARM, COUNTED = 2, 5
Store = Literal["rocksdb", "memory"]
STORES: tuple[Store, ...] = ("rocksdb", "memory")
WAYS = tuple(itertools.product(STORES, (True, False)))
SAMPLE_SECONDS = 0.2
MIB = 2**20
HEAD = (
    *("state", "ads", "batch, ms: median (range)", "rows out", "rows in state", "state, MiB", "its files, MiB"),
    *("heap used, MiB", "JVM at most, MiB", "Python at most, MiB"),
)


@dataclass
class Measured:
    """One way to keep the state, at one size. Memory is in MiB, `heap` after a collection."""

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


def write_messages(spark: SparkSession, ads: int, folder: Path) -> int:
    """Write every ad once, then batches of the same 1,000 ads, spread over all. Return the number of batches.

    Each batch has two files.
    """
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
    """Record the peak resident memory of the JVM and of this process, sampled several times a second."""
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


def measure(spark: SparkSession, store: Store, dedupe: bool, ads: int, messages: Path, batches: int) -> Measured:
    found = Measured(store, dedupe, ads)
    plan = Pipeline(find(JOB).with_parameters(dedupe=dedupe), {1: contracts.latest("ads_data")}, json=False)
    stored = spark.read.parquet(str(messages)).schema
    stream = spark.readStream.schema(stored).option("maxFilesPerTrigger", 2).parquet(str(messages))
    virtual: Any = spark.sparkContext._jvm
    jvm = psutil.Process(virtual.java.lang.ProcessHandle.current().pid())
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as checkpoint, peaks(found, jvm):
        rows = plan.rows(stream)
        spark.conf.set(state_store.PROVIDER, state_store.suited(rows, "update", SparkSettings(state_store=store)))
        writer = rows.writeStream.format("noop").outputMode("update")
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
    virtual.org.apache.spark.sql.execution.streaming.state.StateStore.stop()  # else it stays loaded for a minute
    if len(progress) != batches:
        raise AssertionError(f"{len(progress)} batches, must be {batches}")
    operators = progress[-1]["stateOperators"]
    found.batch_ms = [float(each["durationMs"]["triggerExecution"]) for each in progress[-COUNTED:]]
    found.rows_out = sum(each["numRowsUpdated"] for each in operators if each["operatorName"] == "stateStoreSave")
    found.rows = sum(each["numRowsTotal"] for each in operators)
    found.memory = sum(each["memoryUsedBytes"] for each in operators) / MIB
    found.files = sum(each["customMetrics"].get("rocksdbSstFileSize", 0) for each in operators) / MIB
    return found


class Part(StrEnum):
    """The parts of the measurement.

    `growth` measures by the number of known ids or ads. `hour` shows that ids leave. `ways` compares RocksDB, memory
    and no ids.
    """

    GROWTH, HOUR, WAYS = "growth", "hour", "ways"


def main(
    part: Annotated[list[Part], typer.Option(help="What to measure; may be repeated.")] = [Part.GROWTH, Part.HOUR],  # noqa: B006
    ads: Annotated[list[int], typer.Option(min=1_000, help="How many ads in the ways; may be repeated.")] = list(SIZES),  # noqa: B006
    memory: Annotated[str, typer.Option(help="Heap of the JVM; the job has 1g.")] = "4g",
) -> None:
    """Measure, and write the results of each part."""
    console = Console(highlight=False)
    if Part.GROWTH in part:
        state_growth.measure(console, memory, state_growth.KNOWN)
    if Part.HOUR in part:
        state_growth.hour(memory)
    if Part.WAYS in part:
        ways(console, sorted(ads), memory)


def ways(console: Console, ads: list[int], memory: str) -> None:
    """Measure each way to keep the state. Write the results after each run."""
    settings = Settings()
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
                    if turn:  # the first run is the warm-up
                        results.append(found)
                        console.print(found)
            report(results, memory)


def report(results: list[Measured], memory: str) -> None:
    lines = [
        (
            *(each.way, f"{each.ads:,}", page.spread(each.batch_ms, 0), f"{each.rows_out:,}"),
            f"{each.rows:,}" if each.rows else "-",  # RocksDB does not count its rows
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
