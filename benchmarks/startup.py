"""Measures the time from `adstream stream ad-metrics` to the first row: `python -m benchmarks.startup`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. The topic holds some
thousand messages. The command starts alternately with Spark's class archive (`make warm`) and without it. Then the
query starts once more in a JVM that has already run the job. Each start has empty tables and a new checkpoint. The
operating system has cached all files before: a first start after booting takes longer.
"""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from cassandra.cluster import Session
from matplotlib.figure import Figure
from pyspark.sql import SparkSession
from rich.console import Console

from adstream import reset
from benchmarks import page, plots
from benchmarks.pipeline import JOB, Process, command, own_pipeline, produce, running, started
from common.cassandra.session import connect
from common.settings import Settings
from stack import parts
from streaming.jobs import find
from streaming.sinks.sink import tables_of
from streaming.sources import Topic
from streaming.spark import class_archive
from streaming.spark.session import spark_session

WITH, WITHOUT, AGAIN = "with the class archive", "without it", "second start in the same JVM"
PARTS = ("process", "session", "first batch")
HEAD = ("start", *(f"{part}, s" for part in PARTS), "first row readable, s: median (range)")
POLL_SECONDS = 0.05
MOST_SECONDS = 300.0


@dataclass(frozen=True)
class Start:
    """The seconds of a start, in three parts.

    `process` ends when Python begins to start Spark, `session` when the session exists, and `first_batch` at the first
    row.
    """

    process: float
    session: float
    first_batch: float

    @property
    def whole(self) -> float:
        return self.process + self.session + self.first_batch


def await_row(session: Session, alive: Callable[[], bool]) -> float:
    """Wait until a first row is readable, while the job is alive. Return the time."""
    read = session.prepare("SELECT ad_id FROM ad_metrics LIMIT 1")
    until = time.monotonic() + MOST_SECONDS
    while alive() and time.monotonic() < until:
        if session.execute(read).one():
            return time.perf_counter()
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"the job ended, or no row after {MOST_SECONDS:.0f} s")


def typed(settings: Settings, session: Session, cache: Path) -> Start:
    """Start the command in a process of its own, wait for its first row, then ask it to stop."""
    reset.reset(settings, reset.Plan(JOB, None, None, tables_of(find(JOB).sinks)), lambda _line: None)
    environment = os.environ | {"ADSTREAM_STACK_CACHE_DIR": str(cache)}
    said: dict[str, float] = {}

    def listen(job: Process) -> None:
        for line in job.stdout or ():
            said.setdefault(line.partition(" ")[0], time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with started("stream", JOB, "--trigger", "0", "--checkpoint", f"{folder}/checkpoint", env=environment) as job:
            threading.Thread(target=listen, args=(job,), daemon=True).start()
            row = await_row(session, lambda: job.poll() is None)
    starting, reading = said["starting"], said["reading"]
    return Start(starting - began, reading - starting, row - reading)


def again(spark: SparkSession, settings: Settings, session: Session) -> Start:
    """Start the query alone."""
    with running(spark, settings, Topic(settings, settings.topic.ads), timedelta(0)) as job:
        began = time.perf_counter()
        return Start(0.0, 0.0, await_row(session, job.is_alive) - began)


@contextmanager
def no_archive(settings: Settings) -> Iterator[Path]:
    """Make a cache folder that links to the JVM parts and has no archive."""
    with tempfile.TemporaryDirectory() as folder:
        there = parts.home(settings.stack)
        Path(folder, there.name).symlink_to(there)
        yield Path(folder)


def main(
    messages: Annotated[int, typer.Option(min=1, help="Messages in the topic.")] = 5_000,
    rounds: Annotated[int, typer.Option(min=1, help="Starts of each kind, in turns.")] = 3,
) -> None:
    """Measure, and write the results."""
    settings, console = own_pipeline(), Console(highlight=False)
    class_archive.make(settings.stack, console.print)
    produce(settings, settings.topic.ads, messages)
    results: dict[str, list[Start]] = {WITH: [], WITHOUT: [], AGAIN: []}
    caches = {WITH: parts.cache_root(settings.stack)}
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        with no_archive(settings) as caches[WITHOUT]:
            for number in range(rounds):
                for name in sorted(caches, reverse=bool(number % 2)):
                    results[name].append(typed(settings, session, caches[name]))
                    console.print(f"round {number + 1}: {name}: {results[name][-1].whole:.1f} s")
        with spark_session(settings, "benchmark") as spark:
            results[AGAIN] = [again(spark, settings, session) for _ in range(rounds + 1)][1:]
    report(results, messages, rounds)


def report(results: dict[str, list[Start]], messages: int, rounds: int) -> None:
    each_part = {
        name: {part: statistics.median([asdict(start)[part.replace(" ", "_")] for start in starts]) for part in PARTS}
        for name, starts in results.items()
    }
    lines = [
        (name, *(f"{each_part[name][part]:.1f}" for part in PARTS), page.spread([each.whole for each in starts]))
        for name, starts in results.items()
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        begins = [0.0] * len(results)
        for part, colour in zip(PARTS, plots.COLOURS, strict=False):
            widths = [medians[part] for medians in each_part.values()]
            axes.barh(list(results), widths, left=begins, label=part, color=colour, height=0.6)
            begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel("s until the first row can be read: medians of the parts")
        axes.legend(fontsize="small", frameon=False)
        plots.tidy(axes, "x")

    intro = [f"{messages:,} messages in the topic, {rounds} starts of each kind, in turns.", page.conditions()]
    shown = page.plot("startup", "Seconds from typing the command to the first row, by part", draw, height=2.6)
    runs = {name: [asdict(start) for start in starts] for name, starts in results.items()}
    page.write("startup", intro, HEAD, lines, picture=shown, runs=runs)


if __name__ == "__main__":
    command(main)
