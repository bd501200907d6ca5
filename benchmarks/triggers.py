"""Measures the latency of micro-batches by load and trigger: `python -m benchmarks.triggers`.

Runs against the stack of the settings (`adstream up`), with topics and a keyspace of its own, in one JVM. A process
sends ads at a steady rate, with probes among them (benchmarks.freshness.probes). benchmarks.latency compares these
micro-batches with real time.
"""

import itertools
import secrets
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import typer
from matplotlib.figure import Figure
from pyspark.sql import SparkSession
from rich.console import Console

from benchmarks import page, plots
from benchmarks.freshness.measured import PATIENCE_SECONDS, at_share
from benchmarks.freshness.probes import Load, Seen, await_first, probing
from benchmarks.pipeline import command, own_pipeline, running
from common.provision import prepare_topic
from common.settings import Settings
from streaming.sources import Topic
from streaming.spark.session import spark_session

HEAD = ("events/s", "trigger, ms", "p50, ms", "p95, ms", "p99, ms", "probes", "not seen", "events/s sent")
RATES = (1_000, 5_000, 10_000, 20_000)
TRIGGERS = (0, 500, 1_000, 3_000)


def measure(
    spark: SparkSession, settings: Settings, rate: int, trigger: int, warm: float, seconds: float
) -> tuple[Seen, float]:
    """Measure for `seconds`, after `warm` seconds of the same load.

    Returns the probes of the measured seconds, and the events a second over the whole load.
    """
    topic = f"{settings.topic.ads}-{secrets.token_hex(3)}"
    prepare_topic(settings, topic, "ads_data")
    latest = Topic(settings, topic, start="latest")
    with running(spark, settings, latest, timedelta(milliseconds=trigger)) as job:
        alive = _alive(job)
        await_first(settings, topic, alive)
        with probing(settings, Load(topic, rate, warm + seconds)) as probes:
            seen = probes.seen
            probes.wait(2 * (warm + seconds) + PATIENCE_SECONDS, alive, until=lambda: seen.ended)
            probes.wait(PATIENCE_SECONDS, alive, until=lambda: not seen.pending)
    if not seen.latencies:
        raise AssertionError(f"nothing was measured at {rate}/s with trigger {trigger} ms")
    (begin, _), (end, _) = seen.acknowledged[0], seen.acknowledged[-1]
    sent = seen.rate(begin, end)
    seen.latencies = [each for each in seen.latencies if each[0] >= begin + warm * 1_000]
    return seen, sent


def _alive(job: threading.Thread) -> Callable[[], None]:
    def check() -> None:
        if not job.is_alive():
            raise AssertionError("the job has ended: see its log")

    return check


def main(
    rate: Annotated[list[int], typer.Option(help="Events a second; may be repeated.")] = list(RATES),  # noqa: B006
    trigger: Annotated[list[int], typer.Option(help="Milliseconds; may be repeated.")] = list(TRIGGERS),  # noqa: B006
    seconds: Annotated[float, typer.Option(min=1, help="Measured per combination.")] = 20.0,
    warm: Annotated[float, typer.Option(min=0, help="Seconds of the same load before.")] = 10.0,
    compiling: Annotated[float, typer.Option(min=1, help="Seconds of the first load before all, uncounted.")] = 120.0,
) -> None:
    """Measure, print a line per combination, and write the results."""
    settings, console = own_pipeline(), Console(highlight=False)
    lines, kept = [], []
    plotted: dict[int, dict[str, dict[float, list[float]]]] = {50: {}, 99: {}}
    with spark_session(settings, "benchmark") as spark:
        measure(spark, settings, rate[0], trigger[0], 0.0, compiling)
        for each, milliseconds in itertools.product(rate, trigger):
            seen, sent = measure(spark, settings, each, milliseconds, warm, seconds)
            found = [latency for _, latency in seen.latencies]
            shares = {percent: at_share(found, percent / 100) for percent in (50, 95, 99)}
            numbers = (each, milliseconds, *shares.values(), len(found), len(seen.pending), round(sent))
            lines.append(tuple(f"{number:,}" for number in numbers))
            console.print(dict(zip(HEAD, lines[-1], strict=True)))
            kept.append({"rate": each, "trigger_ms": milliseconds, "sent_rate": sent, "latencies_ms": found})
            for percent, series in plotted.items():
                series.setdefault(f"trigger {milliseconds:,} ms", {})[each] = [shares[percent]]

    def draw(figure: Figure) -> None:
        for axes, (percent, series) in zip(figure.subplots(1, 2, sharey=True), plotted.items(), strict=True):
            plots.lines(axes, series, "events/s", "ms until the row can be read", log="xy")
            axes.set_title(f"p{percent}", fontsize="medium")
            axes.label_outer()
        plots.legend(figure)

    before = f"{compiling:.0f} s of the first load before all, {warm:.0f} s of the same load before each line"
    intro = [f"{seconds:.0f} s per line; {before}.", page.conditions()]
    shown = page.plot("triggers", "Latency by events a second, a line for each trigger", draw)
    page.write("triggers", intro, HEAD, lines, picture=shown, runs=kept)


if __name__ == "__main__":
    command(main)
