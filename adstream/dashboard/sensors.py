"""The page of the sensors: averages of five minutes, once they are over."""

import streamlit as st

from adstream.dashboard import elements, statements

_RUN = ("adstream produce sensors --rate 20", "adstream stream sensor-averages")
_SHOWN = 8


def page() -> None:
    """Draw the page of the sensors."""
    st.header("Sensors")
    _sensors()


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _sensors() -> None:
    sensors, day = elements.chosen("sensor", "sensor_readings", _SHOWN)
    if not sensors:
        elements.nothing_yet("No sensor has sent a reading yet", *_RUN)
        return
    with elements.service(), elements.loading("sensors"):
        found = elements.newest_of(statements.SENSOR_AVERAGES, sensors, day)
        if found is None:
            elements.nothing_yet("No average of these sensors in that time", *_RUN)
            return
        elements.lines(
            found.rows,
            "window_start",
            "avg_temperature",
            f"Average temperature on {found.day}, °C",
            by="sensor_id",
            height=elements.LARGE_HEIGHT,
        )
        st.markdown(f"**The newest window of each on {found.day}**")
        elements.table(
            [
                {
                    "sensor": row["sensor_id"],
                    "from (UTC)": row["window_start"],
                    "to": f"{row['window_end']:%H:%M:%S}",
                    "readings": row["reading_count"],
                    "average °C": row["avg_temperature"],
                    "lowest": row["min_temperature"],
                    "highest": row["max_temperature"],
                }
                for row in found.newest
            ],
            key="sensor-table",
        )
