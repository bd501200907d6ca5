"""Measures the pause between two real-time batches, by batch length and by setting, and lists Spark's phases in it."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import page
from benchmarks.freshness.contestants import Place, place_for, real_time
from benchmarks.freshness.measured import Probe, at_share, conditions, empty_tables
from benchmarks.freshness.probes import Load, await_first, now_ms, probing
from common.settings import Settings

HEAD = (
    *("batches of", "setting", "pause, s: median (range)", "p50, ms", "p99, ms", "batches"),
    "Spark's durationMs, median of each phase",
)
LENGTHS = (60, 120, 300)
# Settings are tried with this length. With the command's own, each would take half an hour.
SHORT = 60
BATCHES = 3
_EDGE_SECONDS = 5.0
_AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Setting:
    """One change to the job: options of the command, properties of Spark, or the number of ads in the load."""

    name: str
    properties: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ads: int = 1_000

    def on(self, place: Place, length: int) -> Place:
        given = ",".join(f"{name}={value}" for name, value in self.properties.items())
        environment = dict(self.environment) | ({"ADSTREAM_SPARK_PROPERTIES": given} if given else {})
        return replace(place, length=f"{length}s", options=self.options, environment=environment)


_STREAMING = "spark.sql.streaming"
_CLEANUP = f"{_STREAMING}.statefulOperator.incrementalCleanupFactor"
_ROCKSDB = f"{_STREAMING}.stateStore.rocksdb"
# With the default lateness nothing expires in the measured minutes, although Spark checks all state. Here state
# expires.
_SOON = ("--lateness", "30s", "--watermark", "60s")
SETTINGS = (
    Setting("incrementalCleanupFactor 0, Spark's default", {_CLEANUP: "0"}),
    Setting("RocksDB's buffer 64 MB, Spark's default", {f"{_ROCKSDB}.writeBufferSizeMB": "64"}),
    Setting("a snapshot with each batch", {f"{_STREAMING}.stateStore.minDeltasForSnapshot": "1"}),
    Setting("state expires after a minute", options=_SOON),
    *(Setting(f"the same, incrementalCleanupFactor {each}", {_CLEANUP: each}, _SOON) for each in ("0", "1", "4")),
    Setting("fewer state rows: no dedupe", options=("--no-dedupe",)),
    Setting("fewer state rows: 100 ads", ads=100),
    Setting("more state rows: 50,000 ads", ads=50_000),
    Setting("two state partitions", environment={"ADSTREAM_SPARK_REAL_TIME_PARTITIONS": "2"}),
    Setting(
        "whole snapshots, no changelog",
        {f"{_ROCKSDB}.changelogCheckpointing.enabled": "false"},
    ),
    Setting("checksums of checkpoint files", {f"{_STREAMING}.checkpoint.fileChecksum.enabled": "true"}),
)


@dataclass(frozen=True)
class Paused:
    """The pauses of one length and setting.

    `pauses` has the longest time (s) without a new row around each commit. `phases` has Spark's figures by batch.
    """

    length: int
    setting: str
    pauses: list[float]
    probes: list[Probe]
    phases: list[dict[str, int]]

    def at(self, share: float) -> int:
        return at_share([latency for _, latency in self.probes], share)


def run(settings: Settings, lengths: Sequence[int], only: Sequence[str], rate: int, warm: float, tried: bool) -> None:
    """Measure each length with the job as it is, then each setting.

    Settings run at the short length if it is among `lengths`, otherwise at the last one.
    """
    turns = [(length, Setting(_AS_IT_IS)) for length in lengths]
    turns += [(SHORT if SHORT in lengths else lengths[-1], each) for each in SETTINGS] if tried else []
    turns = [(length, each) for length, each in turns if not only or any(text in each.name for text in only)]
    console, found = Console(highlight=False), list[Paused]()
    missing: dict[str, str] = {}
    for number, (length, setting) in enumerate(turns, 1):
        said = f"{number} of {len(turns)}: batches of {length} s, {setting.name}"
        try:
            found.append(one := measure(settings, setting, length, rate, warm))
        except AssertionError as why:
            missing[f"{setting.name}, {length} s"] = str(why)
            console.print(f"{said}: {why}", markup=False)
            continue
        console.print(f"{said}: pauses {page.spread(one.pauses)} s; {shown(one.phases)}", soft_wrap=True)
        write(found, missing, rate, warm)


def measure(settings: Settings, setting: Setting, length: int, rate: int, warm: float) -> Paused:
    """Measure three batches of this length, after `warm` seconds.

    Raises AssertionError if the job ends or no batch commits.
    """
    empty_tables(settings)
    whole = warm + (BATCHES + 1) * length + 30
    with place_for(settings) as here:
        place = setting.on(here, length)
        with real_time(place) as started:
            await_first(place.settings, place.topic, started.alive)
            with probing(place.settings, Load(place.topic, rate, whole, setting.ads)) as probes:
                probes.wait(60, started.alive, until=lambda: bool(probes.seen.acknowledged))
                probes.wait(warm, started.alive)
                begin = now_ms()
                probes.wait(
                    whole - warm,
                    started.alive,
                    until=lambda: len(commits(place.log, begin)) >= BATCHES,
                )
                probes.wait(_EDGE_SECONDS, started.alive)
                seen, end = probes.seen.latencies.copy(), now_ms()
        found = commits(place.log, begin)
    if not found:
        raise AssertionError("no batch was committed")
    return Paused(
        length,
        setting.name,
        [longest_gap(seen, at, length) for at, _ in found],
        [each for each in seen if begin <= each[0] < end],
        [phases for _, phases in found],
    )


def commits(log: Path, since: int) -> list[tuple[int, dict[str, int]]]:
    """Return the commits after `since` (ms) from the job's log: the time (ms), and Spark's durationMs."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        told: Any = None
        with suppress(ValueError):
            told = json.loads(line)
        if isinstance(told, dict) and told.get("phases_ms"):
            at = int(datetime.fromisoformat(told["at"]).timestamp() * 1_000)
            if at > since:
                found.append((at, dict(told["phases_ms"])))
    return found


def longest_gap(seen: Sequence[Probe], commit: int, length: int) -> float:
    """Return the longest time (s) without a new row around a commit.

    Looks at gaps that touch the seconds just before or after the commit. The next batch may already run when the job
    learns of a commit.
    """
    edge = int(1_000 * min(_EDGE_SECONDS, length / 2))
    sights = sorted(sum(each) for each in seen)
    gaps = [after - before for before, after in pairwise(sights) if after > commit - edge and before < commit + edge]
    return max(gaps, default=0) / 1_000


def shown(phases: Sequence[Mapping[str, int]]) -> str:
    """Format the median of each phase, the longest first."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for each in phases:
        for name, millis in each.items():
            by_name[name].append(millis)
    medians = {name: statistics.median(found) for name, found in by_name.items()}
    return ", ".join(f"{name} {millis:,.0f}" for name, millis in sorted(medians.items(), key=lambda each: -each[1]))


def write(found: Sequence[Paused], missing: Mapping[str, str], rate: int, warm: float) -> None:
    lines = [
        (
            f"{each.length} s",
            each.setting,
            page.spread(each.pauses),
            f"{each.at(0.5):,}",
            f"{each.at(0.99):,}",
            f"{len(each.phases)}",
            shown(each.phases),
        )
        for each in found
    ]
    intro = [
        f"{rate:,} events/s, {BATCHES} batches for each line after {warm:,.0f} s of the same load.",
        "A pause is the longest time without a new row around a commit. In addBatch the batch takes events.",
        *(f"Missing: {name}: {why}." for name, why in missing.items()),
        conditions(),
    ]
    runs = [asdict(each) for each in found]
    page.write("real-time-pauses", intro, HEAD, lines, in_page="real-time.md", runs=runs)
