"""Measures the batches of one real-time job one after the other, from its first: how the pauses change with its age."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console

from benchmarks import page
from benchmarks.freshness.contestants import place_for, real_time
from benchmarks.freshness.measured import PERCENTILES, Probe, at_share, conditions, empty_tables
from benchmarks.freshness.pauses import commits, longest_gap
from benchmarks.freshness.probes import Load, await_first, now_ms, probing
from common.settings import Settings
from common.text.durations import duration_text
from streaming.real_time.suits import TRIGGER

HEAD = (
    *("batch", "its end after, min", "pause, s", *(f"p{each}, ms" for each in PERCENTILES)),
    *("longest, ms", "probes older than 1 s, %"),
)
LENGTH_SECONDS = int(TRIGGER.total_seconds())
# Watermark and lateness keep an id for twenty minutes. After them each batch removes as many as come.
BATCHES = 7
_OLD_MS = 1_000


@dataclass(frozen=True)
class Around:
    """The probes around one batch's end: from half a batch before its commit to half a batch after it.

    `minutes` is the age of the load at the commit, and `pause` the longest time (s) without a new row around it.
    """

    batch: int
    minutes: float
    pause: float
    probes: list[Probe]

    def at(self, percent: int) -> int:
        return at_share([latency for _, latency in self.probes], percent / 100)

    @property
    def old(self) -> float:
        """The share of probes whose row came after more than a second."""
        return sum(latency > _OLD_MS for _, latency in self.probes) / len(self.probes)


def run(settings: Settings, rate: int, batches: int) -> None:
    """Load one job steadily, print a line for each batch, and write the table after each.

    Raises AssertionError if the job ends, or if a batch takes twice its time.
    """
    console, found = Console(highlight=False), list[Around]()
    empty_tables(settings)
    with place_for(settings) as place, real_time(place) as started:
        await_first(place.settings, place.topic, started.alive)
        whole = (batches + 2.0) * LENGTH_SECONDS
        with probing(place.settings, Load(place.topic, rate, whole)) as probes:
            probes.wait(60, started.alive, until=lambda: bool(probes.seen.acknowledged))
            begin, half = now_ms(), LENGTH_SECONDS / 2

            def another() -> bool:
                return len(commits(place.log, begin)) > len(found)

            for number in range(1, batches + 1):
                if not probes.wait(2 * LENGTH_SECONDS, started.alive, until=another):
                    raise AssertionError(f"batch {number} was not committed in {2 * LENGTH_SECONDS} s")
                at, _ = commits(place.log, begin)[number - 1]
                probes.wait(half, started.alive)
                seen = probes.seen.between(at - int(1_000 * half), at + int(1_000 * half))
                if not seen:
                    raise AssertionError(f"no probe has a row around the end of batch {number}")
                one = Around(number, (at - begin) / 60_000, longest_gap(seen, at, LENGTH_SECONDS), seen)
                found.append(one)
                console.print(f"{number} of {batches}: pause {one.pause:.1f} s, p99 {one.at(99):,} ms", soft_wrap=True)
                write(found, rate)


def write(found: Sequence[Around], rate: int) -> None:
    intro = [
        f"{rate:,} events/s into one job, from its start. A batch lasts {duration_text(TRIGGER)}.",
        "Each line has the probes from half a batch before a batch's end to half a batch after it.",
        conditions(),
    ]
    page.write(
        "real-time-batches", intro, HEAD, lines(found), in_page="real-time.md", runs=[asdict(each) for each in found]
    )


def lines(found: Sequence[Around]) -> list[tuple[str, ...]]:
    return [
        (
            f"{each.batch}",
            f"{each.minutes:.0f}",
            f"{each.pause:.1f}",
            *(f"{each.at(percent):,}" for percent in PERCENTILES),
            f"{each.at(100):,}",
            f"{100 * each.old:.1f}",
        )
        for each in found
    ]
