"""The results of the days: a table in docs/guarantees.md, and a plot of what was sent and what waited.

docs/results/day.json keeps the newest replay of each day.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import page, plots
from benchmarks.days.book import Hour
from benchmarks.days.plan import DAY_MINUTES, DEPLOY_MINUTE, MINUTE_MS, SCHEMA_MINUTE, Part, Plan, moment

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

    `change` describes how the zone's clock is changed on this day, and `load` what was sent. `stopped` and `started`
    are the seconds of the deploy. `wrong` has a line for each thing that is not as it must be. `conditions` describes
    the machine (benchmarks.machine).
    """

    plan: Plan
    zone: str
    change: str
    minutes: float
    load: str
    builds: str
    stopped: float
    started: float
    hours: list[Hour]
    verified: Mapping[str, Any]
    waited: list[Waited]
    wrong: list[str]
    conditions: str


def write(newest: Day) -> None:
    """Print the hours of a day, and write its results beside those of the other days."""
    show(newest)
    others = [day for day in kept() if day.plan.date != newest.plan.date]
    days = sorted([*others, newest], key=lambda day: day.plan.date)
    intro = [line for day in days for line in (said(day), "")][:-1]
    shown = page.plot(
        "day",
        "Messages sent a second, and messages not counted yet, over the day",
        lambda figure: draw(figure, days),
        height=3.4 * len(days),
    )
    runs = [{**asdict(day), "date": str(day.plan.date)} for day in days]
    for run in runs:
        run["plan"] = {"usual": run["plan"]["usual"], "parts": run["plan"]["parts"]}
    page.write("day", intro, HEAD, [row(day) for day in days], picture=shown, in_page=PAGE, runs=runs)


def kept() -> list[Day]:
    """Return the days whose results are kept."""
    file = page.DOCS / "results" / "day.json"
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else []
    return [_day(run) for run in runs]


def _day(run: Mapping[str, Any]) -> Day:
    found = dict(run)
    parts = tuple(Part(**part) for part in found["plan"]["parts"])
    found["plan"] = Plan(date.fromisoformat(found.pop("date")), found["plan"]["usual"], parts)
    found["hours"] = [Hour(**hour) for hour in found["hours"]]
    found["waited"] = [Waited(**waited) for waited in found["waited"]]
    return Day(**found)


def said(day: Day) -> str:
    """Describe a day in a line: load, change of the clock, builds, the result of `adstream verify`, and the machine."""
    speed = f"24 hours of event time in {day.minutes:g} minutes, {24 * 60 / day.minutes:,.0f} times as fast"
    change = day.change or f"the clock in {day.zone} is not changed"
    change = change[0].upper() + change[1:]
    return f"{day.plan.date}: {speed}. {day.load} {change}; {day.builds}. {verified(day.verified)}. {day.conditions}"


def verified(found: Mapping[str, Any]) -> str:
    if "ledger" not in found:
        return "`adstream verify` failed"
    ledger = found["ledger"]
    fates = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in ledger["fates"].items())
    return f"`adstream verify`, {ledger['offsets']:,} offsets: {fates}, {ledger['unexplained']:,} unexplained"


def row(day: Day) -> tuple[str, ...]:
    """Return the table's row for a day."""
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
