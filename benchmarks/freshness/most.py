"""Finds the highest rate that real time holds: the rate rises until latency grows without bound."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from rich.console import Console

from benchmarks import page, plots
from benchmarks.freshness.contestants import Started, place_for, real_time
from benchmarks.freshness.measured import Probe, at_share, conditions, empty_tables, unseen
from benchmarks.freshness.probes import Load, await_first, now_ms, probing
from common.settings import Settings

HEAD = ("events/s", "events/s sent", "p50, ms", "p99, ms", "p99 of the last 10 s, ms", "not seen yet", "holds")
RATES = (2_500, 5_000, 7_500, 10_000, 12_500, 15_000, 17_500, 20_000, 25_000, 30_000)
LAST_SECONDS = 10
BOUND_MS = 10_000
# Latency grows if the last quarter's median is twice the second quarter's, and above a second.
_GROWS = 2.0
_WORTH_A_LOOK_MS = 1_000
_SENT_SHARE = 0.95


@dataclass(frozen=True)
class Step:
    """The result of one rate.

    `waiting` has the sending times of probes without a row at `asked`, which is after the end of the step.
    """

    wanted: int
    rate: float
    begin: int
    end: int
    asked: int
    probes: list[Probe]
    waiting: list[int]

    @property
    def sent(self) -> bool:
        """Whether the sender could send this many events."""
        return self.rate >= _SENT_SHARE * self.wanted

    def at(self, share: float) -> int:
        return at_share(self._latencies(self.begin), share)

    def last(self, share: float) -> int:
        return at_share(self._latencies(self.end - LAST_SECONDS * 1_000), share)

    @property
    def holds(self) -> bool:
        """Whether the job keeps up with the rate.

        It does not if the last probes are very old, or if probes grow older with each quarter of the step.
        """
        quarter = (self.end - self.begin) // 4
        medians = [at_share(self._latencies(begin, begin + quarter), 0.5) for begin in self._begins(quarter)]
        grows = medians[1] < medians[2] < medians[3] and medians[3] > max(_WORTH_A_LOOK_MS, _GROWS * medians[1])
        return self.last(0.99) <= BOUND_MS and not grows

    def _begins(self, quarter: int) -> list[int]:
        return [self.begin + number * quarter for number in range(4)]

    def _latencies(self, begin: int, end: int | None = None) -> list[int]:
        """Return the latencies of the probes sent in this time. A probe without a row counts with its age."""
        until = self.end if end is None else end
        found = [latency for sent, latency in self.probes if begin <= sent < until]
        found += [self.asked - sent for sent in self.waiting if begin <= sent < until]
        return found or [BOUND_MS + 1]


def run(settings: Settings, rates: Sequence[int], warm: float, seconds: float) -> None:
    """Load one job with one rate after the other.

    Stops after the first rate that the job does not hold, or that the sender cannot send.
    """
    console, steps = Console(highlight=False), list[Step]()
    empty_tables(settings)
    with place_for(settings) as place, real_time(place) as started:
        await_first(place.settings, place.topic, started.alive)
        _step(place.settings, started, rates[0], warm)
        for rate in rates:
            steps.append(step := _step(place.settings, started, rate, seconds))
            console.print(
                f"{rate:,} events/s: {step.rate:,.0f} sent, p50 {step.at(0.5):,} ms, "
                f"p99 of the last {LAST_SECONDS} s {step.last(0.99):,} ms: {_verdict(step)}"
            )
            write(steps, warm, seconds)
            if not (step.holds and step.sent):
                break


def _step(settings: Settings, started: Started, rate: int, seconds: float) -> Step:
    with probing(settings, Load(settings.topic.ads, rate, seconds)) as probes:
        probes.wait(60, started.alive, until=lambda: bool(probes.seen.acknowledged))
        begin = now_ms()
        probes.wait(seconds, started.alive)
        end = now_ms()
        # A probe that waits longer is too old in any case.
        probes.wait(BOUND_MS / 1_000 + 1, started.alive, until=lambda: not unseen(probes, begin, end))
        return Step(
            rate,
            probes.seen.rate(begin, end),
            begin,
            end,
            now_ms(),
            probes.seen.between(begin, end),
            unseen(probes, begin, end),
        )


def _verdict(step: Step) -> str:
    if not step.sent:
        return "the sender could send no more"
    return "yes" if step.holds else "no"


def write(steps: Sequence[Step], warm: float, seconds: float) -> None:
    held = [step for step in steps if step.holds and step.sent]
    most = f"Real time holds {held[-1].rate:,.0f} events/s on this machine." if held else "It held none of the rates."
    how = f"{seconds:.0f} s for each rate, one after the other in the same job, after {warm:.0f} s at the first one."
    lines = [
        (
            f"{step.wanted:,}",
            f"{step.rate:,.0f}",
            f"{step.at(0.5):,}",
            f"{step.at(0.99):,}",
            f"{step.last(0.99):,}",
            f"{len(step.waiting):,}",
            _verdict(step),
        )
        for step in steps
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        series = {
            f"p{percent}": {float(step.wanted): [float(step.at(percent / 100))] for step in steps}
            for percent in (50, 99)
        }
        plots.lines(axes, series, "events/s", "ms until the row can be read", log="y")
        plots.legend(figure)

    shown = page.plot("real-time-most", "Latency of real time by events a second", draw)
    runs = [{"rate": step.wanted, "sent": step.rate, "probes": step.probes, "waiting": step.waiting} for step in steps]
    intro = [most, how, conditions()]
    page.write("real-time-most", intro, HEAD, lines, picture=shown, in_page="real-time.md", runs=runs)
