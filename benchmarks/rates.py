"""Measures the top rates of the producer, a Python consumer, and Spark's steps: `python -m benchmarks.rates`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. The consumer and Spark's
steps read the same topic one after the other, and write nowhere. The producer sends as many messages to a topic of its
own. The first round only warms up.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from benchmarks import page, plots
from benchmarks.pipeline import GOOD, JOB, command, own_pipeline, produce
from common import kafka
from common.registry import RegistryClient
from common.registry.writers import Writers
from common.settings import Settings
from consumer.debug import DebugConsumer
from consumer.decoding import Decoded, Decoder
from streaming.jobs import find
from streaming.micro_batch.pipeline import Pipeline
from streaming.sources import topic_range
from streaming.spark.session import spark_session

MIX = replace(GOOD, late=0.01)
READING = "Spark: reading the bytes"
PLAN = "... and summed up in windows and totals: the job's plan"
HEAD = ("what", "events/s: median (range)", "times reading the bytes")


def consume(settings: Settings, topic: str, messages: int) -> float:
    """Read and decode the topic as `adstream consume` does, without printing."""
    decode = Decoder(RegistryClient(settings.registry))
    began, good = time.perf_counter(), 0
    with closing(DebugConsumer(settings, topic, group=None, from_start=True)) as consumer:
        for batch in consumer.batches(threading.Event(), to_end=True):
            good += sum(isinstance(decode(message.value()), Decoded) for message in batch)
    if good != messages:
        raise AssertionError(f"{good:,} decoded, must be {messages:,}")
    return time.perf_counter() - began


def steps(spark: SparkSession, settings: Settings, topic: str) -> dict[str, Callable[[], float]]:
    """Return Spark's steps; each includes all steps before it.

    The stream deduplicates by its state, which has benchmarks of its own. A batch has no state: it sorts the events by
    id instead. So only the last step deduplicates.
    """
    writers = Writers.of(settings.registry, topic).contracts()
    job = find(JOB)
    plan, sorting = (Pipeline(job.with_parameters(dedupe=each), writers, json=job.json) for each in (False, True))
    ranges = {partition: (0, end) for partition, end in kafka.end_offsets(settings, topic).items()}

    def spent(step: Callable[[DataFrame], DataFrame]) -> float:
        rows = step(topic_range(spark, settings.kafka, topic, ranges).drop("headers"))
        began = time.perf_counter()
        rows.write.format("noop").mode("append").save()
        return time.perf_counter() - began

    return {
        READING: lambda: spent(lambda each: each.select("value")),
        "... and decoded": lambda: spent(lambda each: plan.decoded(each).select("event", "problem")),
        "... and judged": lambda: spent(lambda each: plan.judged(each).select("event", "outcome")),
        "... and counted: late by window, dead by reason": lambda: spent(plan.counted),
        PLAN: lambda: spent(plan.rows),
        "... and deduplicated, as a batch does": lambda: spent(sorting.rows),
    }


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages in the topic.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, and write the results."""
    settings, console = own_pipeline(), Console(highlight=False)
    topic = settings.topic.ads
    produce(settings, topic, messages, MIX)
    results: dict[str, list[float]] = {}
    with spark_session(settings, "benchmark") as spark:
        ways: dict[str, Callable[[], float]] = {
            "producer: made up, encoded, sent, acknowledged": lambda: produce(settings, f"{topic}-sent", messages),
            "debug consumer: read, decoded by fastavro": lambda: consume(settings, topic, messages),
            **steps(spark, settings, topic),
        }
        for number in range(rounds + 1):
            for name, way in ways.items():
                rate = messages / way()
                console.print(f"round {number}: {name}: {rate:,.0f}/s")
                if number:
                    results.setdefault(name, []).append(rate)
    lines = []
    for name, rates in results.items():
        ratios = [rate / base for rate, base in zip(rates, results[READING], strict=True)]
        lines.append((name, page.spread(rates, 0), page.spread(ratios, 2)))
    taken = f"{messages:,} messages, {MIX.late:.0%} of them late, {rounds} rounds in turns after one that warmed up."
    shown = page.plot(
        "rates",
        "Events a second of the producer, a consumer and Spark's steps",
        lambda figure: plots.bars(figure.subplots(), results, "events/s: median and range, logarithmic", log=True),
        height=2.8,
    )
    page.write("rates", [taken, page.conditions()], HEAD, lines, picture=shown, runs=results)


if __name__ == "__main__":
    command(main)
