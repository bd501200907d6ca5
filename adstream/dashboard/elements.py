"""Parts of pages: lines with the next step, tables, charts. Values of messages and tables are never markup."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

import altair as alt
import pandas as pd
import streamlit as st

from adstream.dashboard import resources
from adstream.dashboard.markdown import literal as literal
from adstream.dashboard.markdown import with_commands as with_commands
from adstream.dashboard.statements import Statement
from adstream.dashboard.store import Row
from common.errors import AdstreamError
from common.text.shown import shown

REFRESH_SECONDS = 2
# Rows of a day are read by the day. Without a requested day, back to this many days ago.
MOST_DAYS = 7
# A viewer may choose this many keys.
MOST_CHOSEN = 20
_HEIGHT = 220
LARGE_HEIGHT = 320
_BAR_HEIGHT = 34
# A longer table gets a scroll bar.
_ROWS = 24
# Up to this many values get a mark each.
_POINTS = 25
_MILLIONTH = Decimal("0.000001")


@contextmanager
def service() -> Iterator[None]:
    """Run a part of a page that needs a service. If the service is down, show its name and the remedy."""
    try:
        yield
    except AdstreamError as error:
        said = f"{error.problem[:1].upper()}{error.problem[1:]}"
        st.error(
            f"{with_commands(said)}: {with_commands(error.remedy)}." if error.remedy else f"{with_commands(said)}."
        )


def nothing_yet(what: str, *commands: str) -> None:
    """Say that there are no rows, and name the commands that make some."""
    named = " and ".join(f"`{command}`" for command in commands)
    st.info(f"{with_commands(what)}: start {named}.")


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Show a spinner, the first time only. Later refreshes keep the old content until new content is there."""
    if st.session_state.get(f"loaded {name}"):
        yield
        return
    with st.spinner(f"Reading {name} …"):
        yield
    st.session_state[f"loaded {name}"] = True


def active(topic: str) -> list[str]:
    """Return the keys to offer; without Kafka the earlier ones, and a line about it."""
    known = resources.keys(topic)
    with service():
        known()
    return known.seen


def table(rows: Sequence[Mapping[str, object]], *, key: str, empty: str = "No rows.") -> None:
    """Draw a table with plain text in every cell, numbers to the right."""
    if not rows:
        st.caption(empty)
        return
    numbers = {name for name, value in rows[0].items() if isinstance(value, int | float | Decimal)}
    shown = pd.DataFrame([{name: _cell(value) for name, value in row.items()} for row in rows])
    columns = {name: st.column_config.TextColumn(alignment="right" if name in numbers else "left") for name in rows[0]}
    with st.container(key=key):
        height: Literal["content", "auto"] = "content" if len(rows) <= _ROWS else "auto"
        st.dataframe(shown, height=height, hide_index=True, column_config=columns)


def figures(values: Mapping[str, object]) -> None:
    """Draw large numbers side by side."""
    for column, (name, value) in zip(st.columns(len(values)), values.items(), strict=True):
        column.metric(name, _cell(value), border=True)


def lines(
    rows: Sequence[Row],
    time: str,
    value: str,
    title: str,
    *,
    by: str | None = None,
    zero: bool = False,
    height: int = _HEIGHT,
) -> None:
    """Draw a line over time (UTC) from zero, or a line for each `by`, from zero or in the range of their values."""
    frame = _frame(rows, time, [value], [by] if by else [])
    mark = alt.Chart(frame).mark_line(point=len(rows) < _POINTS)
    most = frame[value].max()
    scale = alt.Scale(zero=False) if by and not zero else alt.Scale(domain=[0, most if most > 0 else 1], nice=True)
    encoding: dict[str, Any] = {
        "x": _time_axis(time, frame[time]),
        "y": alt.Y(f"{value}:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)),
        "tooltip": [alt.Tooltip(f"{time}:T", format="%Y-%m-%d %H:%M:%S", title="UTC"), f"{value}:Q"],
    }
    if by:
        encoding |= {"color": alt.Color(f"{by}:N", title=None, legend=alt.Legend(orient="top", padding=0, offset=6))}
        encoding["tooltip"].append(f"{by}:N")
    _draw(mark.encode(**encoding), title, height=height)


def bars(rows: Sequence[Row], value: str, label: str, title: str) -> None:
    """Draw horizontal bars, in the order of the rows."""
    base = alt.Chart(_frame(rows, None, [value], [label])).encode(
        y=alt.Y(f"{label}:N", sort=None, title=None, axis=alt.Axis(labelLimit=120)),
        x=alt.X(f"{value}:Q", title=None, axis=alt.Axis(tickCount=5)),
        tooltip=[f"{label}:N", f"{value}:Q"],
    )
    _draw(base.mark_bar(cornerRadiusEnd=3), title, height=max(120, _BAR_HEIGHT * (len(rows) + 1)))


def stacked(rows: Sequence[Row], hour: str, value: str, by: str, title: str) -> None:
    """Draw bars by the hour of a day (UTC), made of the values of each `by`."""
    frame = _frame(rows, None, [value], [by])
    frame["hour"] = [f"{row[hour]:%H:%M}" for row in rows]
    _draw(
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("hour:N", title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{value}:Q", title=None, stack="zero"),
            color=alt.Color(f"{by}:N", title=None, legend=alt.Legend(orient="top", columns=6, padding=0, offset=6)),
            tooltip=["hour:N", f"{by}:N", f"{value}:Q"],
        ),
        title,
        height=LARGE_HEIGHT,
    )


def today() -> date:
    """Return today's date in UTC, as the tables' days are."""
    return datetime.now(UTC).date()


def chosen_day(key: str) -> date | None:
    """Return the day that the viewer asks for, if any."""
    day = st.date_input("Day (UTC)", value=None, key=key, help="Empty: the newest day of the last 7.")
    return day if isinstance(day, date) else None


def chosen(what: str, topic: str, most: int) -> tuple[list[str], date | None]:
    """Return the topic's keys that the viewer chose or typed, else the `most` active ones, and the chosen day."""
    known = active(topic)
    left, right = st.columns([5, 2])
    with left:
        asked = st.multiselect(
            f"{what.capitalize()}s", sorted(known), key=f"{what}s", accept_new_options=True, max_selections=MOST_CHOSEN,
            format_func=shown, help="Choose some, or type their names. Empty: the most active.",
        )  # fmt: skip
    with right:
        day = chosen_day(f"{what}-day")
    return asked or sorted(known[:most]), day


def days(asked: date | None) -> list[date]:
    """Return the days to read, newest first, with tomorrow: an event's time may be a little ahead."""
    if asked is not None:
        return [asked]
    return [today() + timedelta(days=1) - timedelta(days=back) for back in range(MOST_DAYS + 2)]


@dataclass(frozen=True)
class Day:
    """Rows of one day (UTC), the rows of each partition newest first; `newest` is the first row of each."""

    day: date
    partitions: list[list[Row]]

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.partitions for row in rows]

    @property
    def newest(self) -> list[Row]:
        return [rows[0] for rows in self.partitions]


def newest_of(statement: Statement, names: Sequence[str], asked: date | None) -> Day | None:
    """Return the rows of these partitions on the requested day, else on the newest day with any rows."""
    for day in days(asked):
        found = resources.store().rows(statement, [(name, day) for name in names])
        if any(found):
            return Day(day, [rows for rows in found if rows])
    return None


def newest_day_of(statement: Statement, asked: date | None) -> Day | None:
    """Do the same as `newest_of` for a table whose partition is a day."""
    found = resources.store().rows(statement, [(day,) for day in days(asked)])
    return next((Day(day, [rows]) for day, rows in zip(days(asked), found, strict=True) if rows), None)


def moment(value: datetime) -> str:
    """Write a time of Cassandra's, which is UTC without a zone."""
    return f"{value:%Y-%m-%d %H:%M:%S}"


def ago(value: datetime) -> str:
    """Return how long ago a time is."""
    since = datetime.now(UTC) - (value if value.tzinfo else value.replace(tzinfo=UTC))
    seconds = int(since.total_seconds())
    if seconds < 0:
        return f"in {-seconds} s"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def per_view(cost: Decimal, views: int) -> Decimal | None:
    """Return the cost per view as the tables have it: six places, rounded half-up."""
    return (cost / views).quantize(_MILLIONTH, ROUND_HALF_UP) if views else None


def _draw(chart: Any, title: str, *, height: int = _HEIGHT) -> None:  # noqa: ANN401 - Altair's many chart classes
    st.markdown(f"**{title}**")
    st.altair_chart(chart.properties(height=height))


def _time_axis(name: str, times: "pd.Series[Any]") -> alt.X:
    """Return a time axis in UTC, with labels as fine as the span needs."""
    span = times.max() - times.min() if len(times) else timedelta()
    form = "%m-%d %H:%M" if span > timedelta(days=1) else "%H:%M" if span > timedelta(minutes=10) else "%H:%M:%S"
    axis = alt.Axis(format=form, tickCount=5, labelOverlap=True, labelFlush=False)
    return alt.X(f"{name}:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _frame(rows: Sequence[Row], time: str | None, values: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Return only the drawn columns: times with their zone, numbers as floats. A picture shows no more digits."""
    frame: dict[str, Any] = {name: [shown(str(row[name])) for row in rows] for name in names}
    frame |= {name: [None if row[name] is None else float(row[name]) for row in rows] for name in values}
    if time:
        frame[time] = pd.to_datetime([row[time] for row in rows], utc=True)
    return pd.DataFrame(frame)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case Decimal():
            return f"{value:,}"
        case datetime():
            return moment(value)
        case _:
            return shown(str(value))
