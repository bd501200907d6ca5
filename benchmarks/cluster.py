"""Measures batches of 1,000 events on a cluster of two one-core workers: `python -m benchmarks.cluster`.

Runs ad-metrics against the stack of the settings (`adstream up`), with topics and a keyspace of its own. It starts and
stops the workers. All batches read the same topic, one after the other, with 1,000 events each. The job starts over for
each run, and the second half of its batches counts. Kafka, Cassandra and the driver share the machine with the workers.
"""

import os
import statistics
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import page
from benchmarks.pipeline import command, fresh, own_pipeline, produce
from benchmarks.scaling import cluster_of
from common.settings import Settings
from streaming.micro_batch.progress import BatchReport
from streaming.sources import Topic
from streaming.spark.session import spark_session

EVENTS, WORKERS = 1_000, 2
LOCAL, SHIPPED, HADOOP = "`local[2]`, no cluster", "two workers, as shipped", "two workers, Hadoop's own local files"
# For each side: the number of workers, and the Spark properties.
SIDES = {
    LOCAL: (0, ""),
    SHIPPED: (WORKERS, ""),
    HADOOP: (WORKERS, "spark.hadoop.fs.file.impl=org.apache.hadoop.fs.LocalFileSystem"),
}


@dataclass(frozen=True)
class Batch:
    """The seconds of a batch.

    `rows` is the time for the rows and their state, and `logs` for the offset and commit logs. `rest` is the remainder
    of `whole`. `state` is the sum over the tasks that commit the state.
    """

    whole: float
    rows: float
    logs: float
    state: float

    @property
    def rest(self) -> float:
        return self.whole - self.rows - self.logs


def main(
    batches: Annotated[int, typer.Option(min=2, help="Batches per run; the second half counts.")] = 80,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each side, in turns.")] = 2,
) -> None:
    """Measure, and write the result into docs/performance.md."""
    settings, console = own_pipeline(events_per_batch=EVENTS), Console()
    produce(settings, settings.topic.ads, batches * EVENTS)
    runs: dict[str, list[list[Batch]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side, (workers, properties) in SIDES.items():
            os.environ["ADSTREAM_SPARK_PROPERTIES"] = properties
            taken = _run(workers)
            runs[side].append(taken)
            whole = statistics.median(each.whole for each in taken)
            console.print(f"round {number}, {side}: {whole:.2f} s a batch", markup=False)
    _write(runs, batches)


def _run(workers: int) -> list[Batch]:
    """Run the job from the start over the whole topic. Return the second half of its batches."""
    reports: list[BatchReport] = []
    settings = Settings()
    topic = Topic(settings, settings.topic.ads)
    with (
        cluster_of(workers) if workers else nullcontext("local[2]") as master,
        spark_session(settings, "benchmark", master=master) as spark,
        fresh(spark, settings, topic, batch=reports.append) as runner,
    ):
        runner.run()
    return [_batch(report) for report in reports[len(reports) // 2 :]]


def _batch(report: BatchReport) -> Batch:
    durations = report.progress["durationMs"]
    operators = report.progress["stateOperators"]
    return Batch(
        whole=report.seconds or 0.0,
        rows=durations["addBatch"] / 1_000,
        logs=(durations["walCommit"] + durations["commitOffsets"]) / 1_000,
        state=sum(operator["commitTimeMs"] for operator in operators) / 1_000,
    )


def _write(runs: dict[str, list[list[Batch]]], batches: int) -> None:
    def line(side: str) -> list[str]:
        taken = [batch for run in runs[side] for batch in run]
        parts = ([getattr(batch, name) for batch in taken] for name in ("whole", "rows", "logs", "rest", "state"))
        return [side, *(page.spread(part, 2) for part in parts)]

    counts = f"{batches} batches of {EVENTS:,} events a run, {len(runs[LOCAL])} runs of each in turns"
    page.write(
        "cluster",
        [f"{counts}; seconds, median and range of the second halves.", page.conditions()],
        ["where", "batch", "rows and state", "offsets and commit", "planning and the rest", "tasks committing state"],
        [line(side) for side in SIDES],
        runs={side: [[asdict(batch) for batch in run] for run in each] for side, each in runs.items()},
    )


if __name__ == "__main__":
    command(main)
