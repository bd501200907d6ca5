"""The page of the racks: their temperatures, and their changes between normal and warning."""

import streamlit as st

from adstream.dashboard import elements, statements
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
        alerts = elements.newest_of(statements.RACK_ALERTS, racks, day)
        if temperatures is None and alerts is None:
            elements.nothing_yet("Nothing of these racks in that time", *_RUN)
            return
        if temperatures is not None:
            title = f"Average temperature on {temperatures.day}, of each window"
            elements.lines(
                temperatures.rows, "window_start", "avg_temperature", title, by="rack", height=elements.LARGE_HEIGHT
            )
        st.markdown("**Now**")
        changes = {row["rack"]: row for row in alerts.newest} if alerts else {}
        newest = {row["rack"]: row for row in temperatures.newest} if temperatures else {}
        elements.table([_state(rack, newest, changes) for rack in (_ALL, *racks)], key="rack-table")
        st.markdown("**Changes between normal and warning, newest first**")
        rows = sorted(alerts.rows, key=lambda row: row["changed_at"], reverse=True) if alerts else []
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


def _state(rack: str, newest: dict[str, Row], changes: dict[str, Row]) -> dict[str, object]:
    row, change = newest.get(rack), changes.get(rack)
    return {
        "rack": rack,
        "status": change["status"] if change else "-" if rack == _ALL else "normal",
        "average": row["avg_temperature"] if row else None,
        "readings": row["readings"] if row else None,
        "window from (UTC)": row["window_start"] if row else None,
    }
