"""Runs ad-metrics on a standalone cluster of one and of two one-core workers: `python -m benchmarks.scaling`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. It starts and stops the
workers. Kafka, Cassandra and the driver share the machine with the workers, so the curve is a lower bound.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import page
from benchmarks.pipeline import command, own_pipeline, produce, timed
from common.settings import Settings
from stack import local
from stack.spark import cluster
from streaming.spark.session import spark_session

WORKERS = (1, 2)


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages per run.")] = 300_000,
    rounds: Annotated[int, typer.Option(min=1, help="Clusters of each size, in turns, with two runs that count.")] = 2,
) -> None:
    """Measure, and write the result into docs/performance.md."""
    settings, console = own_pipeline(events_per_batch=100_000), Console()
    name = settings.topic.ads
    produce(settings, name, messages)
    seconds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for number in range(rounds):
        for workers in WORKERS:
            with cluster_of(workers) as master, spark_session(settings, "benchmark", master=master) as spark:
                warm, *counting = [timed(spark, settings, name) for _ in range(3)]
            seconds[workers] += counting
            console.print(f"round {number}, {workers} workers: {warm:.1f} s cold, then {counting}")
    _write(seconds, messages)


@contextmanager
def cluster_of(workers: int) -> Iterator[str | None]:
    """Run a standalone cluster with so many workers until the block ends. Yield its master's address."""
    settings = Settings()
    settings.stack.spark_port = 0
    try:
        yield local.up(settings, spark_workers=workers).spark_master
    finally:
        local.down(settings, only=cluster(workers))


def _write(seconds: dict[int, list[float]], messages: int) -> None:
    base = sorted(seconds[WORKERS[0]])[len(seconds[WORKERS[0]]) // 2]
    page.write(
        "scaling",
        [
            f"{messages:,} messages a run in batches of 100,000, {len(seconds[1])} runs of each.",
            page.conditions(),
        ],
        ["workers of one core", "messages/s", "times one worker"],
        [
            [
                str(workers),
                page.spread([messages / each for each in taken], 0),
                page.spread([base / each for each in taken], 2),
            ]
            for workers, taken in seconds.items()
        ],
    )


if __name__ == "__main__":
    command(main)
