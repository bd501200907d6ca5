"""Formats the results of benchmarks.throughput: a table with each contestant's work, a plot, and sentences."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from matplotlib.figure import Figure

from benchmarks import page, plots
from benchmarks.peers.contestants import (
    CONTESTANTS,
    FLINK_HEAP,
    FLINK_OFF,
    FLINK_ROCKSDB,
    FLINK_USUAL,
    OFF,
    QUIX,
    SHIPPED,
    Contestant,
)
from benchmarks.peers.drained import NO, Drained

HEAD = (
    *("run", "dedupe", "windows", "totals", "checkpoints", "Cassandra", "messages"),
    *("events/s: median (range)", "times ad-metrics on this work", "whole run, s"),
)
ONCE = "Each event once: dedupe, windows, totals, checkpoints"
PART = "No dedupe: windows and totals (Quix Streams: windows)"
BASE = {True: SHIPPED, False: OFF}

# Contestant -> round -> run, for the rounds in which the contestant did not fail.
Results = Mapping[str, Mapping[int, Drained]]


def ratios(results: Results, name: str, base: str) -> list[float]:
    """Return the rates relative to `base`, for each round in which both ran."""
    runs, bases = results.get(name, {}), results.get(base, {})
    return [run.rate / bases[number].rate for number, run in runs.items() if number in bases]


def lines(results: Results, missing: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the lines of the table: results of the contestants that ran, reasons for the others."""
    return [
        _line(each, results, missing.get(each.name))
        for each in CONTESTANTS
        if each.name in results or each.name in missing
    ]


def _line(each: Contestant, results: Results, missing: str | None) -> tuple[str, ...]:
    does = (each.name, *asdict(each.work).values())
    if missing:
        return (*does, "", f"could not be had: {missing}", "", "")
    runs = list(results[each.name].values())
    compared = ratios(results, each.name, BASE[each.work.counts_once])
    return (
        *does,
        f"{max(run.events for run in runs):,}",
        page.spread([run.rate for run in runs], 0),
        page.spread(compared, 2) if compared else "-",
        page.spread([run.whole for run in runs]),
    )


def sentences(results: Results) -> list[str]:
    """Return sentences on the available results. Peers with the full work come first."""
    full = ((FLINK_HEAP, "Flink SQL on the heap"), (FLINK_ROCKSDB, "Flink SQL in RocksDB"))
    usual = ((FLINK_USUAL, "Flink SQL with RocksDB as it comes"),)
    part = ((FLINK_OFF, "Flink SQL"), (QUIX, "Quix Streams"))
    said = (
        ("On the same exactly-once work, ad-metrics is", _as_fast(results, SHIPPED, full)),
        ("As shipped, ad-metrics is", _as_fast(results, SHIPPED, usual)),
        ("Without dedupe, ad-metrics is", _as_fast(results, OFF, part)),
    )
    return [f"{begin} {' and '.join(compared)}." for begin, compared in said if compared]


def draw(figure: Figure, results: Results) -> None:
    groups: dict[str, dict[str, Sequence[float]]] = {}
    for each in CONTESTANTS:
        if each.name in results:
            rates = [run.rate for run in results[each.name].values()]
            groups.setdefault(ONCE if each.work.counts_once else PART, {})[each.name] = rates
    notes = {each.name: "no sink" if each.work.cassandra == NO else "into Cassandra" for each in CONTESTANTS}
    ours = {each.name for each in CONTESTANTS if each.ours}
    title = (sentences(results) or ["Events a second, by what is done with them"])[0]
    plots.groups_of_bars(figure, groups, "events/s: median and range", marked=ours, notes=notes, title=title)


def _as_fast(results: Results, base: str, peers: Sequence[tuple[str, str]]) -> list[str]:
    """Return how many times as fast as each peer `base` was, by the median of the rounds."""
    found = [(ratios(results, base, name), said) for name, said in peers]
    return [f"{statistics.median(values):.1f} times as fast as {said}" for values, said in found if values]
