"""Writes the results of a soak: the table of its series, and the plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from matplotlib.figure import Figure

from benchmarks import page, plots
from benchmarks.pipeline import JOB
from benchmarks.soaking.series import AGE, DISK, MEMORY, PROCESSORS, Judged, Sample, series
from streaming.jobs import find

HEAD = ("series", "mean, second half", "growth over it", "bound", "flat")
# Minutes that the state needs, after one watermark delay, to evict the first ids.
LEVEL_MINUTES = 4
_WITH_LEGEND = (MEMORY, DISK, PROCESSORS, AGE)


@dataclass(frozen=True)
class Place:
    """The part of a page for the results: its name, the page, the plot's description, and the panels of the plot."""

    name: str
    in_page: str
    shows: str
    panels: tuple[str, ...]


def settled(batches: Sequence[tuple[float, float]]) -> str:
    """Describe the durations of the batches after the number of ids has levelled off.

    `batches` has pairs of minute and seconds.
    """
    watermark = find(JOB).watermark or timedelta(0)
    begin = watermark / timedelta(minutes=1) + LEVEL_MINUTES
    late = [seconds for minute, seconds in batches if minute >= begin]
    if not late:
        return ""
    return f"{len(late)} batches from minute {begin:.0f} on, when ids have levelled off, in s: {page.spread(late)}."


def line(each: Judged) -> tuple[str, ...]:
    """Return the table's line for a series. Small figures have two decimals."""
    digits = 1 if each.mean >= 10 else 2
    bound, flat = ("-", "-") if each.limit is None else (str(each.limit), "yes" if each.flat else "no")
    return (each.name, f"{each.mean:,.{digits}f}", f"{each.growth:+.1%}", bound, flat)


def verified(found: dict[str, Any] | None, missed: int) -> str:
    """Describe the result of `adstream verify`; `missed` messages of the topic are behind its last batch."""
    if found is None:
        return "Not verified: it ended early."
    if "ledger" not in found:
        return "`adstream verify` failed."
    fates = ", ".join(f"{count:,} {fate}" for fate, count in found["ledger"]["fates"].items())
    said = f"`adstream verify`, {found['ledger']['offsets']:,} offsets: {fates}, {found['ledger']['unexplained']:,}"
    said += f" unexplained; {found['cells']:,} cells, {found['rows_different']:,} rows differ."
    said += f" Not proved: {found['not_proved']}." if found["not_proved"] else ""
    return said + (f" {missed:,} messages were not counted." if missed else "")


def report(
    place: Place,
    times: Sequence[float],
    samples: Sequence[Sample],
    judged: Sequence[Judged],
    found: dict[str, Any] | None,
    intro: Sequence[str],
) -> None:
    """Print the table, and write table, plot and measurements."""

    def draw(figure: Figure) -> None:
        for axes, panel in zip(figure.subplots(3, 2, sharex=True).flat, place.panels, strict=True):
            for (name, values), colour in zip(series(samples, panel).items(), plots.COLOURS, strict=False):
                axes.plot(times, values, color=colour, label=name, linewidth=1.2)
            axes.set_title(panel, fontsize="medium")
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(plots.PLAIN)
            plots.tidy(axes, "y")
            if panel in _WITH_LEGEND:
                axes.legend(fontsize="x-small", frameon=False, ncols=2)
        for axes in figure.axes[-2:]:
            axes.set_xlabel("minutes")

    shown = page.plot(place.name, place.shows, draw, height=8.0)
    runs = {"minutes": times, "samples": samples, "verified": found}
    lines = [line(each) for each in judged]
    page.write(place.name, intro, HEAD, lines, picture=shown, in_page=place.in_page, runs=runs)
