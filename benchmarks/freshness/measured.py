"""Measures one contestant at one load: latencies, processor seconds, pauses, and cost."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise

import psutil

from adstream import reset
from benchmarks.freshness.contestants import Contestant, Place, Started, place_for, services
from benchmarks.freshness.probes import Load, Probing, await_first, now_ms, probing
from benchmarks.freshness.usage import READER, SENDER, Usage, family
from benchmarks.machine import machine
from benchmarks.pipeline import JOB
from common.settings import Settings
from streaming.jobs import find
from streaming.sinks.sink import tables_of

PATIENCE_SECONDS = 30.0
CATCH_UP_SECONDS = 120.0
BEHIND_MS = 5_000
PERCENTILES = (50, 95, 99)

# The time when a probe was sent, and its latency, both in milliseconds.
Probe = tuple[int, int]


@dataclass(frozen=True)
class Measured:
    """The figures of one contestant at one load.

    `probes` were sent in the measured `seconds` after `begin`. `unseen` counts the probes that still had no row after
    30 seconds. `rate` counts acknowledged events a second. `seconds_of` has processor seconds and `peaks` MiB, both by
    group of processes. `own_ms` is the reader's own part of a latency. `others` is the share of machine time that other
    programs used.
    """

    name: str
    wanted: int
    begin: int
    seconds: float
    probes: list[Probe]
    unseen: int
    rate: float
    own_ms: float
    others: float = 0.0
    seconds_of: Mapping[str, float] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)

    def at(self, percent: float) -> int:
        return at_share([latency for _, latency in self.probes], percent / 100)

    def by_second(self) -> list[tuple[int, float, int]]:
        """Return for each second the median and the longest latency of the probes sent in that second."""
        return [
            (second, statistics.median(found), max(found))
            for second, found in sorted(_by(self.probes, self.begin, 1_000).items())
        ]

    def pauses(self) -> list[int]:
        """Return the longest time (ms) without a further readable probe, for each started minute."""
        sights = sorted(sent + latency for sent, latency in self.probes)
        gaps = [(before, after - before) for before, after in pairwise(sights)]
        return [max(found) for _, found in sorted(_by(gaps, self.begin, 60_000).items())]

    def micros(self, group: str) -> float | None:
        """Return microseconds of processor time per event; None if the group does not exist."""
        spent = self.seconds_of.get(group)
        return None if spent is None or not self.rate else 1e6 * spent / (self.rate * self.seconds)


def at_share(latencies: Sequence[int], share: float) -> int:
    """Return the smallest latency that `share` of the probes do not exceed."""
    ordered = sorted(latencies)
    return ordered[math.ceil(share * len(ordered)) - 1]


def empty_tables(settings: Settings) -> None:
    """Empty the tables as `adstream reset` does, so that the next contestant starts over."""
    reset.reset(settings, reset.Plan(JOB, None, None, tables_of(find(JOB).sinks)), lambda _line: None)


def measure(settings: Settings, contestant: Contestant, rate: int, warm: float, seconds: float) -> Measured:
    """Start the contestant, load it for `warm` and then `seconds` seconds, and end it.

    Only the `seconds` count. A JVM that still compiles may fall behind: it gets at most two minutes to catch up first.
    Raises AssertionError if the contestant ends by itself or shows no probe. Raises PeerMissing if it is not available.
    """
    empty_tables(settings)
    with place_for(settings) as place, contestant.start(place) as started:
        await_first(place.settings, place.topic, started.alive)
        with probing(place.settings, Load(place.topic, rate, warm + CATCH_UP_SECONDS + seconds)) as probes:
            return counted(contestant.name, place, started, probes, rate, warm, seconds)


def counted(
    name: str, place: Place, started: Started, probes: Probing, rate: int, warm: float, seconds: float
) -> Measured:
    """Let the load warm up, then measure for `seconds`."""
    probes.wait(60, started.alive, until=lambda: bool(probes.seen.acknowledged))
    probes.wait(warm, started.alive)
    probes.wait(CATCH_UP_SECONDS, started.alive, until=lambda: oldest(probes) < BEHIND_MS)
    beside = {**services(place.settings), SENDER: family(probes.sender), READER: [psutil.Process()]}
    with ExitStack() as until:
        usage = Usage(lambda: started.measured(beside))
        until.callback(usage.stop)
        begin = now_ms()
        probes.wait(seconds, started.alive)
        end = now_ms()
    probes.wait(PATIENCE_SECONDS, started.alive, until=lambda: not unseen(probes, begin, end))
    found = probes.seen.between(begin, end)
    if not found:
        raise AssertionError(f"{name} showed no probe at {rate:,} events/s")
    missing = len(unseen(probes, begin, end))
    return Measured(
        name, rate, begin, (end - begin) / 1_000, found, missing, probes.seen.rate(begin, end), probes.seen.own_ms,
        usage.others, usage.seconds, usage.peaks,
    )  # fmt: skip


def oldest(probes: Probing) -> int:
    """Return how long (ms) the oldest probe without a row has waited."""
    now = now_ms()
    return max((now - sent for sent in list(probes.seen.pending.values())), default=0)


def unseen(probes: Probing, begin: int, end: int) -> list[int]:
    """Return the sending times of the probes between `begin` and `end` that have no row yet."""
    return [sent for sent in list(probes.seen.pending.values()) if begin <= sent < end]


def conditions(others: Sequence[float] = ()) -> str:
    """Describe the machine and, where known, the share of its time that other processes used meanwhile."""
    if not others:
        return f"Machine: {machine()}."
    most = f"{statistics.median(others):.0%} ({min(others):.0%}-{max(others):.0%})"
    return f"Machine: {machine()}; while the figures were taken, {most} of its time went to other processes here."


def _by(values: Sequence[Probe], begin: int, length: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for at, value in values:
        found[max(0, at - begin) // length].append(value)
    return found
