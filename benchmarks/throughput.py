"""How fast ad-metrics drains a topic into Cassandra, beside what one might use instead.

python -m benchmarks.throughput

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. In each round every
contestant takes the same topic once, in turns; the first round only warms up. A peer that this machine cannot have is
named in the table, and the others go on.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from rich.console import Console

from adstream.provision import prepare_topic
from adstream.settings import Settings
from benchmarks import page, plots
from benchmarks.peers import quix, tutorial
from benchmarks.peers.drained import Drained, PeerMissing
from benchmarks.peers.flink import flink
from benchmarks.pipeline import JOB, command, own_pipeline, produce, timed
from streaming.jobs import find
from streaming.progress import BatchReport
from streaming.session import STATE_STORES, spark_session

SHIPPED = "ad-metrics, as it is"
QUIX = "Quix Streams: windows only, no sink"
FLINK = "Flink SQL: windows only, no sink"
HEAD = ("run", "events/s: median (range)", "times ad-metrics as it is", "whole run, s")

Contestant = Callable[[], Drained]


def ours(spark: SparkSession, settings: Settings, topic: str, *, store: str, dedupe: bool) -> Drained:
    """The seconds are those of the batches that took data, with writing and committing them."""
    settings.spark = settings.spark.model_copy(update={"state_store": store})
    _state_in(spark, store)
    reports: list[BatchReport] = []
    whole = timed(spark, settings, topic, job=find(JOB).with_parameters(dedupe=dedupe), batch=reports.append)
    taken = [report for report in reports if report.events]
    return Drained(sum(each.events for each in taken), sum(each.seconds for each in taken), whole)


def contestants(
    spark: SparkSession, settings: Settings, topic: str, messages: int, quix_seconds: float
) -> dict[str, Contestant]:
    def tutorials(run: Callable[[SparkSession, Settings, str], Drained]) -> Drained:
        _state_in(spark, "memory")
        return run(spark, settings, topic)

    return {
        SHIPPED: lambda: ours(spark, settings, topic, store="rocksdb", dedupe=True),
        "ad-metrics, state in memory": lambda: ours(spark, settings, topic, store="memory", dedupe=True),
        "ad-metrics, dedupe off": lambda: ours(spark, settings, topic, store="rocksdb", dedupe=False),
        "ad-metrics, dedupe off, state in memory": lambda: ours(spark, settings, topic, store="memory", dedupe=False),
        "tutorial's, one query, from_avro": lambda: tutorials(tutorial.one_query),
        "tutorial's, two queries, Python UDF": lambda: tutorials(tutorial.two_queries),
        QUIX: lambda: quix.drain(settings, topic, messages, quix_seconds),
    }


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages in the topic.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    quix_seconds: Annotated[float, typer.Option(min=1, help="Quix Streams is stopped after so long.")] = 15.0,
    peers: Annotated[bool, typer.Option(help="Fetch Flink and Quix Streams where missing, and let them run.")] = True,
) -> None:
    """Measure, print a line per run, and write the results after each round."""
    settings, console = own_pipeline(), Console(highlight=False)
    topic, empty = settings.topic.ads, f"{settings.topic.ads}-empty"
    produce(settings, topic, messages)
    prepare_topic(settings, empty, "ads_data")
    results: dict[str, list[Drained]] = {}
    missing: dict[str, str] = {}
    with ExitStack() as running:
        spark = running.enter_context(spark_session(settings, "benchmark"))
        runs = contestants(spark, settings, topic, messages, quix_seconds)
        if peers:
            try:
                streams = running.enter_context(flink(settings, topic, empty))
                runs[FLINK] = lambda: streams.drain("full_topic", "empty_topic", messages)
            except PeerMissing as why:
                missing[FLINK] = str(why)
                console.print(f"{FLINK}: {why}")
        else:
            runs.pop(QUIX)
        for number in range(rounds + 1):
            for name in [each for each in runs if each not in missing]:
                try:
                    drained = runs[name]()
                except PeerMissing as why:
                    missing[name] = str(why)
                    console.print(f"{name}: {why}")
                    continue
                console.print(f"round {number}: {name}: {drained.rate:,.0f}/s, {drained.whole:.1f} s in all")
                if number:  # the first one only warms up
                    results.setdefault(name, []).append(drained)
            if number:
                _write(results, missing, messages)


def _state_in(spark: SparkSession, store: str) -> None:
    spark.conf.set("spark.sql.streaming.stateStore.providerClass", STATE_STORES[store])


def _write(results: dict[str, list[Drained]], missing: dict[str, str], messages: int) -> None:
    base = [each.rate for each in results[SHIPPED]]
    lines = []
    for name, runs in results.items():
        if name in missing:
            continue
        ratios = [each.rate / one for each, one in zip(runs, base, strict=True)]
        rates = page.spread([each.rate for each in runs], 0)
        lines.append((name, rates, page.spread(ratios, 2), page.spread([each.whole for each in runs])))
    lines += [(name, f"could not be had: {why}", "", "") for name, why in missing.items()]
    intro = [
        f"{messages:,} messages of 1,000 ads over five minutes, {len(base)} rounds in turns after one that warmed up.",
        page.conditions(),
    ]
    measured = {name: [each.rate for each in runs] for name, runs in results.items() if name not in missing}
    shown = page.plot(
        "throughput",
        "Events a second of ad-metrics beside others",
        lambda figure: plots.bars(figure.subplots(), measured, "events/s: median and range, logarithmic", log=True),
    )
    kept = {
        "messages": messages,
        "missing": missing,
        "drained": {name: [asdict(each) for each in runs] for name, runs in results.items()},
    }
    page.write("throughput", intro, HEAD, lines, picture=shown, runs=kept)


if __name__ == "__main__":
    command(main)
