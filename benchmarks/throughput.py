"""Measures the rate at which ad-metrics and its alternatives drain a topic, on the same work.

    python -m benchmarks.throughput

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own. ad-metrics writes to
Cassandra. In each round, one contestant after the other processes the same topic. Each warms up with a smaller topic
before. The slowest process gets only the smaller topic. If this machine cannot run a peer, or a peer fails, or its sums
are wrong, the table gives the reason. The others go on.
"""

import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import page
from benchmarks.peers import standings
from benchmarks.peers.contestants import CONTESTANTS, Contestant, Running
from benchmarks.peers.drained import Drained, Load, PeerMissing
from benchmarks.pipeline import GOOD, command, own_pipeline, produce
from common import kafka
from common.errors import ConfigError
from common.provision import prepare_topic
from common.settings import Settings
from common.text.progress_line import Working
from producer.traffic import Mix

MIX = replace(GOOD, duplicates=0.02)
SMALL = 1_000_000
CHECKED, CHECKED_MIX = 5_000, Mix(keys=20, duplicates=0.1)


def chosen(only: list[str], *, peers: bool) -> list[Contestant]:
    """Return the contestants whose name contains one of the texts, or all without a text.

    Raises ConfigError for a text that no name contains.
    """
    for text in only:
        if not any(text.lower() in each.name.lower() for each in CONTESTANTS):
            names = "; ".join(each.name for each in CONTESTANTS)
            raise ConfigError(f"--only {text} names no run", f"give a part of one of these: {names}")
    return [
        each
        for each in CONTESTANTS
        if (peers or not each.fetched) and (not only or any(text.lower() in each.name.lower() for text in only))
    ]


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages in the topic.")] = 4_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 2,
    only: Annotated[list[str], typer.Option(help="Part of the name of a run; may be repeated.")] = [],  # noqa: B006
    memory: Annotated[str, typer.Option(help="Heap of Spark's JVM, and of Flink's.")] = "4g",
    topic: Annotated[str, typer.Option(help="Name for the topics. A later run with that name takes them again.")] = "",
    quix_seconds: Annotated[float, typer.Option(min=1, help="Quix Streams is stopped after so long.")] = 15.0,
    peers: Annotated[bool, typer.Option(help="Fetch Flink and Quix Streams where missing, and let them run.")] = True,
) -> None:
    """Measure, print a line per run, and write the results after each round."""
    taking_part = chosen(only, peers=peers)
    settings, console = own_pipeline(topic or None), Console(highlight=False)
    settings.spark = settings.spark.model_copy(update={"driver_memory": memory})
    topic = settings.topic.ads
    full = Load(topic, messages)
    small = full if messages <= SMALL else Load(f"{topic}-small", SMALL)
    empty, checked = Load(f"{topic}-empty", 0), Load(f"{topic}-checked", CHECKED)
    for load, mix in ((full, MIX), (small, MIX), (empty, MIX), (checked, CHECKED_MIX)):
        console.print(f"{load.topic}: {load.messages:,} messages")
        _fill(settings, load, mix)
    results: dict[str, dict[int, Drained]] = {}
    missing: dict[str, str] = {}
    with ExitStack() as until:
        running = Running(settings, empty.topic, checked.topic, quix_seconds, until)
        for number in range(rounds + 1):
            said = f"round {number} of {rounds}" if number else "warming up"
            for each in taking_part:
                if each.name in missing:
                    continue
                began = time.perf_counter()
                try:
                    with Working(f"{said}: {each.name}"):
                        if not number:
                            each.check(running)
                        drained = each.drain(running, full if number and not each.slow else small)
                except PeerMissing as why:
                    missing[each.name] = str(why)
                    console.print(f"{each.name}: {why}", markup=False)
                    continue
                console.print(f"{said}: {each.name}: {drained.rate:,.0f}/s, {time.perf_counter() - began:.0f} s in all")
                if number:
                    results.setdefault(each.name, {})[number] = drained
            if number:
                _write({name: runs for name, runs in results.items() if name not in missing}, missing, full, small)


def _fill(settings: Settings, load: Load, mix: Mix) -> None:
    """Fill an empty topic with the load's messages.

    Raises ConfigError if the topic has another number of messages.
    """
    prepare_topic(settings, load.topic, "ads_data")
    there = sum(kafka.end_offsets(settings, load.topic).values())
    if there not in (0, load.messages):
        raise ConfigError(f"topic {load.topic} has {there:,} messages", f"give another --topic, or --messages {there}")
    if not there and load.messages:
        produce(settings, load.topic, load.messages, mix)


def _write(results: dict[str, dict[int, Drained]], missing: dict[str, str], full: Load, small: Load) -> None:
    rounds = max((len(runs) for runs in results.values()), default=0)
    intro = [
        *standings.sentences(results),
        f"{full.messages:,} messages of 1,000 ads over five minutes, {MIX.duplicates:.0%} of them repeated.",
        f"{rounds} rounds in turns, after one with {small.messages:,} messages that warmed up.",
        page.conditions(),
    ]
    shown = page.plot(
        "throughput",
        "Events a second of ad-metrics beside others, on the same work",
        lambda figure: standings.draw(figure, results),
        height=5.0,
    )
    kept = {
        "messages": full.messages,
        "missing": missing,
        "drained": {name: [asdict(each) for each in runs.values()] for name, runs in results.items()},
    }
    page.write("throughput", intro, standings.HEAD, standings.lines(results, missing), picture=shown, runs=kept)


if __name__ == "__main__":
    command(main)
