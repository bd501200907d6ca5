"""The page of the racks: their temperatures, and their changes between normal and warning."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import streamlit as st

from adstream.dashboard import elements, resources, statements
from adstream.dashboard.store import Row

_RUN = ("adstream produce racks --rate 20", "adstream stream rack-temperatures", "adstream stream rack-alerts")
# The job's name for the average over all racks.
_ALL = "all"
_SHOWN = 12


def page() -> None:
    """Draw the page of the racks."""
    st.header("Racks")
    _racks()


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _racks() -> None:
    racks, day = elements.chosen("rack", "rack_readings", _SHOWN)
    if not racks:
        elements.nothing_yet("No rack has sent a reading yet", *_RUN)
        return
    with elements.service(), elements.loading("racks"):
        temperatures = elements.newest_of(statements.RACK_TEMPERATURES, [_ALL, *racks], day)
        changes = last_changes(resources.store().rows(statements.LAST_RACK_ALERT, places(racks, day)))
        if temperatures is None and not changes:
            elements.nothing_yet("Nothing of these racks in that time", *_RUN)
            return
        if temperatures is not None:
            title = f"Average temperature on {temperatures.day}, of each window"
            elements.lines(
                temperatures.rows, "window_start", "avg_temperature", title, by="rack", height=elements.LARGE_HEIGHT
            )
        st.markdown("**Now**")
        newest = {row["rack"]: row for row in temperatures.newest} if temperatures else {}
        elements.table([state(rack, newest, changes) for rack in (_ALL, *racks)], key="rack-table")
        if len(changes) < len(racks):
            in_that_time = f"in the last {elements.MOST_DAYS} days" if day is None else "on that day"
            st.caption(f"Status -: no change {in_that_time}. A rack begins as normal.")
        _changes(racks, changes)


def places(racks: Sequence[str], asked: date | None) -> list[tuple[object, ...]]:
    """Return the partitions that may hold a rack's last change, the newest day first."""
    return [(rack, day) for day in elements.days(asked) for rack in racks]


def last_changes(partitions: Iterable[Sequence[Row]]) -> dict[str, Row]:
    """Return each rack's last change. Racks change on different days."""
    rows = sorted((row for rows in partitions for row in rows), key=lambda row: row["changed_at"])
    return {row["rack"]: row for row in rows}


def state(rack: str, temperatures: Mapping[str, Row], changes: Mapping[str, Row]) -> dict[str, object]:
    """Return the rack's line in the table. Without a change its status is unknown: an older one may be a warning."""
    row, change = temperatures.get(rack), changes.get(rack)
    return {
        "rack": rack,
        "status": change["status"] if change else None,
        "since (UTC)": change["changed_at"] if change else None,
        "average": row["avg_temperature"] if row else None,
        "readings": row["readings"] if row else None,
        "window from (UTC)": row["window_start"] if row else None,
    }


def _changes(racks: Sequence[str], last: Mapping[str, Row]) -> None:
    day = max(row["changed_at"] for row in last.values()).date() if last else None
    found = resources.store().rows(statements.RACK_ALERTS, [(rack, day) for rack in racks]) if last else []
    rows = sorted((row for rows in found for row in rows), key=lambda row: row["changed_at"], reverse=True)
    st.markdown(f"**Changes between normal and warning{f' on {day}' if day else ''}, newest first**")
    elements.table(
        [
            {
                "at (UTC)": row["changed_at"],
                "rack": row["rack"],
                "status": row["status"],
                "temperature": row["temperature"],
            }
            for row in rows
        ],
        key="rack-alerts",
        empty="None in that time.",
    )
