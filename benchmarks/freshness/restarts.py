"""Measures how long new events wait after `kill -9` of a real-time job, by the length of its unfinished batch."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from rich.console import Console

from benchmarks import page
from benchmarks.freshness.contestants import kill, lasting, place_for, real_time
from benchmarks.freshness.measured import Probe, conditions, empty_tables
from benchmarks.freshness.probes import Load, Probing, await_first, now_ms, probing
from common.settings import Settings

HEAD = (
    *("minutes of the batch", "events/s", "events counted again", "first row, s", "a new event's row, s"),
    "all fresh again, s",
)
MINUTES = (1.0, 5.0)
PATIENCE_SECONDS = 900.0
FRESH_MS = 1_000
# So many fresh probes in a row show that nothing waits any more.
IN_A_ROW = 10


@dataclass(frozen=True)
class Restart:
    """Seconds from the kill to three moments.

    `first` is the first row, `new` the row of the first event after the kill. From the last moment on, all rows are
    fresh.
    """

    minutes: float
    rate: int
    again: int
    first: float
    new: float
    fresh: float


def run(settings: Settings, minutes: Sequence[float], rates: Sequence[int]) -> None:
    """Kill the job under load and start it again, once for each length and rate."""
    console, found = Console(highlight=False), list[Restart]()
    turns = [(rate, each) for rate in rates for each in minutes]
    for number, (rate, each) in enumerate(turns, 1):
        found.append(one := restart(settings, each, rate))
        console.print(
            f"{number} of {len(turns)}: after {each:g} min at {rate:,} events/s: first row {one.first:.1f} s, "
            f"a new event's {one.new:.1f} s, fresh again {one.fresh:.1f} s"
        )
        write(found)


def restart(settings: Settings, minutes: float, rate: int) -> Restart:
    """Kill the job after `minutes` under load, start it again, and time its return.

    The batch is longer than the whole run, so nothing is committed: the job counts all events again. Raises
    AssertionError if the job does not catch up in a quarter of an hour.
    """
    empty_tables(settings)
    whole = minutes * 60 + PATIENCE_SECONDS
    with place_for(settings) as here, ExitStack() as until:
        place = lasting(here, f"{int(whole) + 60}s")
        started = until.enter_context(real_time(place))
        await_first(place.settings, place.topic, started.alive)
        probes = until.enter_context(probing(place.settings, Load(place.topic, rate, whole)))
        probes.wait(60, started.alive, until=lambda: bool(probes.seen.acknowledged))
        probes.wait(minutes * 60, started.alive)
        killed = now_ms()
        kill(started.pid)
        _, again = probes.seen.acknowledged[-1]
        with real_time(place) as anew:
            if not probes.wait(PATIENCE_SECONDS, anew.alive, until=lambda: bool(fresh(after(probes, killed)))):
                raise AssertionError(f"rows are not fresh again {PATIENCE_SECONDS:.0f} s after the kill")
        seen = [each for each in probes.seen.latencies if sum(each) > killed]
        waited = [sum(each) - killed for each in after(probes, killed)]
        first = min(sum(each) - killed for each in seen)
        at = fresh(after(probes, killed)) - killed
        return Restart(minutes, rate, again, first / 1_000, min(waited) / 1_000, at / 1_000)


def after(probes: Probing, moment: int) -> list[Probe]:
    """Return the probes that were sent since `moment` and have been seen."""
    return [each for each in probes.seen.latencies.copy() if each[0] >= moment]


def fresh(found: Sequence[Probe]) -> int:
    """Return when the reader saw the first of ten fresh probes in a row; 0 as long as there are none."""
    in_a_row = list[Probe]()
    for each in sorted(found):
        in_a_row = [*in_a_row, each] if each[1] <= FRESH_MS else []
        if len(in_a_row) == IN_A_ROW:
            return sum(in_a_row[0])
    return 0


def write(found: Sequence[Restart]) -> None:
    lines = [
        (
            f"{each.minutes:g}",
            f"{each.rate:,}",
            f"{each.again:,}",
            f"{each.first:,.1f}",
            f"{each.new:,.1f}",
            f"{each.fresh:,.1f}",
        )
        for each in found
    ]
    how = (
        "The driver, its JVM and its applying process end by `kill -9`, and the command starts again at once. The load "
        f"goes on. Times begin with the kill; fresh is a row within {FRESH_MS / 1_000:g} s, {IN_A_ROW} probes in a row."
    )
    runs = [asdict(each) for each in found]
    page.write("real-time-restarts", [how, conditions()], HEAD, lines, in_page="real-time.md", runs=runs)
