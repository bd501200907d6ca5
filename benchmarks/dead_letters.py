"""Measures the cost of dead-lettering: without bad messages, and in a flood: `python -m benchmarks.dead_letters`.

Runs ad-metrics against the stack of the settings (`adstream up`), with topics and a keyspace of its own. Each round
processes the same good messages twice, in alternating order. One run uses the shipped job. The other run's job counts
neither late nor dead messages, and so publishes no dead letters. At the end the shipped job processes as many messages
again, half of them bad. Both plans observe something. Without an observation, Spark decodes each message again for each
part of a condition.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer
from pyspark.sql import Column
from pyspark.sql import functions as F
from rich.console import Console

from benchmarks import page
from benchmarks.pipeline import GOOD, command, own_pipeline, produce, timed
from streaming.micro_batch import counting
from streaming.micro_batch.counting import counts
from streaming.spark.session import spark_session

# A flood takes several times as long as a run over good messages.
FLOODS = 2


@dataclass
class Seconds:
    """The seconds of the runs; each list has one value per round."""

    as_it_is: list[float] = field(default_factory=list)
    uncounted: list[float] = field(default_factory=list)
    flood: list[float] = field(default_factory=list)


def only_messages(*, late: bool) -> list[Column]:  # noqa: ARG001 - as streaming.micro_batch.counting.counts
    """Return only the count of messages; streaming.micro_batch.counting.counts also counts late and dead messages."""
    return [F.count(F.lit(1)).alias("messages")]


@contextmanager
def counting_by(function: Callable[..., list[Column]]) -> Iterator[None]:
    """Let the job's plan use another function in place of `counts`."""
    kept = counting.counts
    counting.counts = function
    try:
        yield
    finally:
        counting.counts = kept


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages per run.")] = 300_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, and write the result into docs/performance.md."""
    settings, console = own_pipeline(), Console()
    name = settings.topic.ads
    good, bad = f"{name}-good", f"{name}-bad"
    produce(settings, good, messages)
    produce(settings, bad, messages, replace(GOOD, broken=0.5))
    seconds = Seconds()
    with spark_session(settings, "benchmark") as spark:
        runs = [(seconds.as_it_is, counts), (seconds.uncounted, only_messages)]
        for number in range(rounds + 1):
            for taken, function in runs if number % 2 else reversed(runs):
                with counting_by(function):
                    taken.append(timed(spark, settings, good))
            one, two = seconds.as_it_is[-1], seconds.uncounted[-1]
            console.print(f"round {number}: {one:.1f} s as it is, {two:.1f} s uncounted")
        for taken, _ in runs:
            del taken[0]  # the first round is the warm-up
        for _ in range(min(rounds, FLOODS)):
            seconds.flood.append(timed(spark, settings, bad))
            console.print(f"{seconds.flood[-1]:.1f} s with half bad")
    write(seconds, messages)


def write(seconds: Seconds, messages: int) -> None:
    """Write the benchmark's part of the page."""

    def line(title: str, taken: list[float]) -> list[str]:
        ratios = [each / base for each, base in zip(taken, seconds.uncounted, strict=False)]
        return [title, page.spread([messages / each for each in taken], 0), page.spread(ratios, 2)]

    page.write(
        "dead-letters",
        [f"{messages:,} messages a run, {len(seconds.as_it_is)} rounds in turns.", page.conditions()],
        ["run", "messages/s", "time against nobody counting"],
        [
            line("nothing bad, nobody counts", seconds.uncounted),
            line("nothing bad, the job as it is", seconds.as_it_is),
            line("half of the messages bad", seconds.flood),
        ],
    )


if __name__ == "__main__":
    command(main)
