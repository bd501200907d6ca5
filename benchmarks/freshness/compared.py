"""Runs one contestant after the other, at each load, and compares freshness and cost."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console

from benchmarks import page, plots
from benchmarks.freshness.contestants import BEFORE, FLINK, FLINK_CHECKPOINTS, NOW, REAL_TIME, Contestant, contestants
from benchmarks.freshness.measured import PERCENTILES, Measured, conditions, measure
from benchmarks.freshness.usage import APPLYING, CASSANDRA, JOB, KAFKA, SENDER
from benchmarks.peers.drained import PeerMissing
from common.errors import ConfigError
from common.settings import Settings
from common.text.progress_line import Working

HEAD = (
    *("what", "events/s", "p50, ms", "p95, ms", "p99, ms", "longest, ms", "longest pause of a minute, ms"),
    *("probes", "not seen", "events/s sent", "reader's part, ms"),
)
COST_HEAD = (
    *("what", "events/s", "job, µs an event", "applying, µs", "Kafka, µs", "Cassandra, µs", "all four, µs"),
    *("cores busy", "job, MiB", "applying, MiB"),
)
_SERVED = (JOB, APPLYING, KAFKA, CASSANDRA)


def chosen(only: Sequence[str], before: Path | None) -> list[Contestant]:
    """Return the contestants whose name contains one of the texts, or all without a text.

    Raises ConfigError for a text that no name contains.
    """
    everyone = contestants(before)
    for text in only:
        if not any(text.lower() in each.name.lower() for each in everyone):
            raise ConfigError(
                f"--only {text} names no contestant", f"give a part of: {'; '.join(each.name for each in everyone)}"
            )
    return [each for each in everyone if not only or any(text.lower() in each.name.lower() for text in only)]


def run(
    settings: Settings,
    taking_part: Sequence[Contestant],
    rates: Sequence[int],
    warm: float,
    seconds: float,
    rounds: int,
    notes: Sequence[str],
) -> None:
    """Measure, and print a line per run.

    Writes the results after each run, so that a reader can look at them while a long measurement goes on.
    """
    console, found, missing = Console(highlight=False), list[Measured](), dict[str, str]()
    turns = [(rate, each) for _ in range(rounds) for rate in rates for each in taking_part]
    for number, (rate, each) in enumerate(turns, 1):
        said = f"{number} of {len(turns)}: {each.name}, {rate:,} events/s"
        try:
            with Working(said):
                measured = measure(settings, each, rate, warm, seconds)
        except (AssertionError, PeerMissing) as why:
            missing[f"{each.name}, {rate:,} events/s"] = str(why)
            console.print(f"{said}: {why}", markup=False)
            continue
        found.append(measured)
        latencies = ", ".join(f"p{percent} {measured.at(percent):,} ms" for percent in PERCENTILES)
        console.print(f"{said}: {latencies}, {measured.rate:,.0f}/s sent")
        write(found, missing, warm, seconds, notes)
    if not found:
        raise AssertionError("nothing was measured: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))


def write(
    found: Sequence[Measured], missing: dict[str, str], warm: float, seconds: float, notes: Sequence[str]
) -> None:
    intro = [
        *sentences(found),
        f"{seconds:,.0f} s for each line, after {warm:,.0f} s of the same load and the time to catch up after them.",
        f"Each in processes of its own, one after the other. {' '.join(notes)}".rstrip(),
        *(f"Missing: {name}: {why}." for name, why in missing.items()),
        conditions([each.others for each in found]),
    ]
    shown = page.plot(
        "latency",
        "The median of each second's probes, of every contestant at each load",
        lambda figure: draw(figure, found),
        height=3.2 * len({each.wanted for each in found}),
    )
    kept = [
        {
            **asdict(each),
            "percentiles": {percent: each.at(percent) for percent in PERCENTILES},
            "seconds_median_max": each.by_second(),
            "pauses": each.pauses(),
        }
        for each in found
    ]
    page.write("latency", intro, HEAD, lines(found), picture=shown, runs={"measured": kept, "missing": missing})
    page.write("real-time-cost", intro[-1:], COST_HEAD, costs(found), in_page="real-time.md")


def grouped(found: Sequence[Measured]) -> list[tuple[str, int, list[Measured]]]:
    """Group the runs by load and contestant.

    Loads come in ascending order. Within a load, contestants keep the order of their first run.
    """
    order = list(dict.fromkeys(each.name for each in found))

    def key(each: Measured) -> tuple[int, int]:
        return each.wanted, order.index(each.name)

    return [(order[place], rate, list(runs)) for (rate, place), runs in groupby(sorted(found, key=key), key)]


def lines(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{rate:,}",
            *(_several([run.at(percent) for run in runs]) for percent in PERCENTILES),
            _several([run.at(100) for run in runs]),
            _several([pause for run in runs for pause in run.pauses()]),
            f"{sum(len(run.probes) for run in runs):,}",
            f"{sum(run.unseen for run in runs):,}",
            _several([run.rate for run in runs]),
            _several([run.own_ms for run in runs]),
        )
        for name, rate, runs in grouped(found)
    ]


def costs(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    rows = []
    for name, rate, runs in grouped(found):
        micros = {group: [each for run in runs if (each := run.micros(group)) is not None] for group in _SERVED}
        together = [sum(run.micros(group) or 0.0 for group in _SERVED) for run in runs]
        busy = [sum(run.seconds_of.get(each, 0.0) for each in (*_SERVED, SENDER)) / run.seconds for run in runs]
        peaks = [[run.peaks[group] for run in runs if run.peaks.get(group)] for group in (JOB, APPLYING)]
        rows.append(
            (
                name,
                f"{rate:,}",
                *(_several(micros[group]) for group in _SERVED),
                _several(together),
                f"{statistics.median(busy):.2f}",
                *map(_several, peaks),
            )
        )
    return rows


def sentences(found: Sequence[Measured]) -> list[str]:
    """Return for each load how many times fresher real time is than the others, at the median."""
    said = []
    medians = {(name, rate): statistics.median(run.at(50) for run in runs) for name, rate, runs in grouped(found)}
    for rate in sorted({rate for _, rate in medians}):
        ours = medians.get((REAL_TIME, rate))
        if not ours:
            continue
        rivals = (BEFORE, NOW, *(FLINK.format(each) for each in FLINK_CHECKPOINTS))
        times = [f"{_times(medians[name, rate], ours)} {name}" for name in rivals if (name, rate) in medians]
        if times:
            said.append(f"At {rate:,} events/s the median of real time, {ours:,.0f} ms, is {', '.join(times)}.")
    return said


def _times(theirs: float, ours: float) -> str:
    return f"{theirs / ours:,.1f} times below" if ours <= theirs else f"{ours / theirs:,.1f} times above"


def draw(figure: Figure, found: Sequence[Measured]) -> None:
    rates = sorted({each.wanted for each in found})
    names = list(dict.fromkeys(each.name for each in found))
    for axes, rate in zip(figure.subplots(len(rates), squeeze=False)[:, 0], rates, strict=True):
        for name, colour in zip(names, plots.COLOURS, strict=False):
            runs = [each for each in found if (each.name, each.wanted) == (name, rate)]
            seconds = runs[-1].by_second() if runs else []
            axes.plot([at for at, *_ in seconds], [each for _, each, _ in seconds], color=colour, label=name, lw=1.0)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plots.PLAIN)
        axes.set_title(f"{rate:,} events/s", fontsize="medium")
        axes.set_ylabel("ms until the row can be read")
        plots.tidy(axes, "y")
    figure.axes[-1].set_xlabel("seconds")
    plots.legend(figure)


def _several(values: Sequence[float]) -> str:
    """Format one value as it is, several as median and range, none as a dash."""
    if not values:
        return "-"
    return page.spread(values, 0) if len(values) > 1 else f"{values[0]:,.0f}"
