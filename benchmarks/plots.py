"""The kinds of plot in the results. Each shows the median and the whole range of the rounds."""

import math
import statistics
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

# The colours of Okabe and Ito, which colour-blind people can distinguish. Each line also has its own marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv<>"
# The colour of bars for comparison.
OTHERS = "#A8ADB3"
TITLE_WIDTH = 72

Values = Sequence[float]

# Shows numbers like 1,000 and 0.5 instead of powers of ten.
PLAIN = FuncFormatter(lambda value, _place: f"{value:,.10g}")


def bars(axes: Axes, measured: Mapping[str, Values], unit: str, *, log: bool = False) -> None:
    """Draw horizontal bars from the top. A bar ends at the median; a line across its end shows the range."""
    names = list(measured)
    medians, around = _with_range(measured.values())
    drawn = axes.barh(names, medians, xerr=around, color=COLOURS[0], ecolor="#444444", capsize=3, height=0.6)
    axes.bar_label(drawn, fmt="{:,.0f}", padding=4, fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    if log:
        axes.set_xscale("log")
        axes.set_xlim(left=10 ** math.floor(math.log10(min(medians) / 2)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter(PLAIN)
    tidy(axes, "x")


def groups_of_bars(
    figure: Figure,
    groups: Mapping[str, Mapping[str, Values]],
    unit: str,
    *,
    marked: Collection[str],
    notes: Mapping[str, str],
    title: str,
) -> None:
    """Draw a panel of horizontal bars for each group, on one scale.

    A bar ends at the median; a line across its end shows the range. Names in `marked` get the colour. `notes` stand
    beside the values.
    """
    heights = [len(bars) + 0.6 for bars in groups.values()]
    panels = figure.subplots(len(groups), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (group, measured) in zip(panels, groups.items(), strict=True):
        medians, around = _with_range(measured.values())
        colours = [COLOURS[0] if name in marked else OTHERS for name in measured]
        drawn = axes.barh(list(measured), medians, xerr=around, color=colours, ecolor="#444444", capsize=3, height=0.7)
        labels = [f"{median:,.0f}  {notes[name]}" for name, median in zip(measured, medians, strict=True)]
        axes.bar_label(drawn, labels, padding=5, fontsize="small")
        for label in axes.get_yticklabels():
            label.set_fontweight("bold" if label.get_text() in marked else "normal")
        axes.invert_yaxis()
        axes.margins(x=0.42)  # room for the notes
        axes.set_title(group, loc="left", fontsize="medium")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PLAIN)
        tidy(axes, "x")
    panels[-1].set_xlabel(unit)
    figure.suptitle(textwrap.fill(title, TITLE_WIDTH), x=0.01, ha="left", fontsize="large", fontweight="bold")


def lines(axes: Axes, series: Mapping[str, Mapping[float, Values]], x: str, y: str, *, log: str = "") -> None:
    """Draw a line for each series of x -> values. `log` names the axes with a logarithmic scale."""
    for number, (name, points) in enumerate(series.items()):
        medians, around = _with_range(points.values())
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.errorbar(
            list(points), medians, yerr=around, label=name, capsize=3, color=colour, marker=marker, markersize=5
        )
    for scale, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if scale in log:
            axes.set(**{f"{scale}scale": "log"})
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(PLAIN)
    axes.set_xticks(sorted({place for points in series.values() for place in points}))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if "y" not in log:
        axes.set_ylim(bottom=0)
    tidy(axes, "y")


def legend(figure: Figure) -> None:
    """Draw one legend for all panels, below them."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small", frameon=False)


def tidy(axes: Axes, grid: str) -> None:
    """Draw thin grid lines below everything, and no frame."""
    axes.grid(axis=grid, color="#DDDDDD", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _with_range(each_ones: Iterable[Values]) -> tuple[list[float], list[list[float]]]:
    every = [list(values) for values in each_ones]
    medians = [statistics.median(values) for values in every]
    below = [median - min(values) for median, values in zip(medians, every, strict=True)]
    above = [max(values) - median for median, values in zip(medians, every, strict=True)]
    return medians, [below, above]
