"""The results of the days: a table in docs/guarantees.md, and a plot of what was sent and what waited."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import page, plots
from benchmarks.days.book import Hour
from benchmarks.days.plan import DAY_MINUTES, DEPLOY_MINUTE, MINUTE_MS, SCHEMA_MINUTE, Plan, moment

PAGE = "guarantees.md"
HEAD = (
    *("day", "windows: planned", "in the table", "rows: sent", "in the table", "rows that differ"),
    *("offsets", "unexplained", "cells", "cells that differ", "stop and start, s", "right"),
)


@dataclass(frozen=True)
class Waited:
    """How many messages the job had not counted yet, at a moment of the day (milliseconds)."""

    at: int
    messages: int


@dataclass(frozen=True)
class Day:
    """A replayed day.

    `change` describes how the zone's clock is changed on this day. `stopped` and `started` are the seconds of the
    deploy. `wrong` has a line for each thing that is not as it must be.
    """

    plan: Plan
    zone: str
    change: str
    minutes: float
    builds: str
    stopped: float
    started: float
    hours: list[Hour]
    verified: Mapping[str, Any]
    waited: list[Waited]
    wrong: list[str]


def write(days: Sequence[Day], mix: str) -> None:
    """Print the hours of the newest day, and write the results of all days."""
    show(days[-1])
    plans = f"24 hours of event time in {days[-1].minutes:g} minutes, {24 * 60 / days[-1].minutes:,.0f} times as fast."
    intro = [f"{plans} {mix}", *(said(day) for day in days), page.conditions()]
    shown = page.plot(
        "day",
        "Messages sent a second, and messages not counted yet, over the day",
        lambda figure: draw(figure, days),
        height=3.4 * len(days),
    )
    runs = [{**asdict(day), "date": str(day.plan.date)} for day in days]
    for run in runs:
        run["plan"] = {"usual": run["plan"]["usual"], "parts": run["plan"]["parts"]}
    page.write("day", intro, HEAD, [line(day) for day in days], picture=shown, in_page=PAGE, runs=runs)


def said(day: Day) -> str:
    """Describe a day in a line: its change of the clock, its builds, and the result of `adstream verify`."""
    change = day.change or f"the clock in {day.zone} is not changed"
    return f"{day.plan.date}: {change}; {day.builds}. {verified(day.verified)}."


def verified(found: Mapping[str, Any]) -> str:
    if "ledger" not in found:
        return "`adstream verify` failed"
    ledger = found["ledger"]
    fates = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in ledger["fates"].items())
    return f"`adstream verify`, {ledger['offsets']:,} offsets: {fates}, {ledger['unexplained']:,} unexplained"


def line(day: Day) -> tuple[str, ...]:
    """Return the table's line for a day."""
    ledger = day.verified.get("ledger", {})
    return (
        str(day.plan.date),
        f"{sum(hour.planned for hour in day.hours):,}",
        f"{sum(hour.windows for hour in day.hours):,}",
        f"{sum(hour.rows_sent for hour in day.hours):,}",
        f"{sum(hour.rows for hour in day.hours):,}",
        f"{sum(hour.differing for hour in day.hours):,}",
        f"{ledger.get('offsets', 0):,}",
        f"{ledger.get('unexplained', 0):,}",
        f"{day.verified.get('cells', 0):,}",
        f"{day.verified.get('rows_different', 0):,}",
        f"{day.stopped:.0f} and {day.started:.0f}",
        "no" if day.wrong else "yes",
    )


def show(day: Day) -> None:
    """Print the windows of each hour, in UTC and by the clock of the zone."""
    table = Table("UTC", day.zone, "part", "windows planned", "in the table", "rows sent", "in the table", "right")
    zone = ZoneInfo(day.zone)
    for hour in day.hours:
        at = moment(hour.hour)
        minute = (hour.hour - day.plan.begin) // MINUTE_MS
        part = day.plan.part(minute).name if 0 <= minute < DAY_MINUTES else "the day before"
        counts = (f"{each:,}" for each in (hour.planned, hour.windows, hour.rows_sent, hour.rows))
        local = f"{at.astimezone(zone):%H:%M %Z}"
        table.add_row(f"{at:%m-%d %H:%M}", local, part, *counts, "yes" if hour.right else "no")
    Console(highlight=False, width=120).print(table)


def draw(figure: Figure, days: Sequence[Day]) -> None:
    for axes, day in zip(figure.subplots(len(days), squeeze=False)[:, 0], days, strict=True):
        plan = day.plan
        at = [minute / 60 for minute in range(DAY_MINUTES)]
        each_second = DAY_MINUTES / day.minutes / 60
        sent = [plan.in_minute(minute) * each_second for minute in range(DAY_MINUTES)]
        axes.fill_between(at, sent, color=plots.OTHERS, step="post", label="messages sent a second")
        waited = [((each.at - plan.begin) / MINUTE_MS / 60, each.messages) for each in day.waited]
        if waited:
            axes.plot(*zip(*waited, strict=True), color=plots.COLOURS[1], lw=1.0, label="messages not counted yet")
        axes.set_ylim(bottom=0)
        for minute, name in ((SCHEMA_MINUTE, "version 2"), (DEPLOY_MINUTE, "deploy")):
            axes.axvline(minute / 60, color=plots.COLOURS[0], lw=0.8, linestyle="--")
            axes.annotate(name, (minute / 60, axes.get_ylim()[1]), fontsize="x-small", va="top", rotation=90)
        axes.set_xticks(range(0, 25, 3))
        axes.set_title(f"{plan.date}, hours of UTC", fontsize="medium")
        axes.yaxis.set_major_formatter(plots.PLAIN)
        plots.tidy(axes, "y")
    plots.legend(figure)
