"""Racks in a server room: each warms up and cools down, and at times it is too hot."""

import math
import zlib
from random import Random

from producer.samples import Event, Sample
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

MIDDLE, SWING, NOISE = 98.0, 4.0, 0.5
PERIOD_MILLIS = 600_000


def event(rng: Random, rack: str, timestamp: int, _event_id: str) -> Event:
    """Make a reading of about 94 to 102 degrees.

    Each rack is above 100, where alerts begin, for a third of each 10 minutes, at its own time.
    """
    begin = zlib.crc32(rack.encode()) % PERIOD_MILLIS
    wave = math.sin(2 * math.pi * (timestamp + begin) / PERIOD_MILLIS)
    temperature = round(MIDDLE + SWING * wave + NOISE * (2 * rng.random() - 1), 1)
    return {"rack": rack, "temperature": temperature, "ts": timestamp}


def _five_minutes_apart(readings: dict[str, list[float]]) -> list[list[Event]]:
    """Return one step for each five minutes from 08:00, with the readings of all racks.

    A rack may end before the others.
    """
    longest = max(len(temperatures) for temperatures in readings.values())
    return [
        [
            {"rack": rack, "temperature": temperatures[nth], "ts": millis(f"2017-06-02T08:{5 * nth:02}:00Z")}
            for rack, temperatures in readings.items()
            if nth < len(temperatures)
        ]
        for nth in range(longest)
    ]


_RACK1, _RACK2 = [99.5, 100.5, 101.0, 102.0], [99.5, 105.5, 104.0, 108.0]

# All racks from 07:55 99.5, 08:00 101.25, 08:05 102.75, 08:10 103.75, 08:15 105.0; rack1 99.5, 100.0, 100.75, 101.5,
# 102.0; rack2 99.5, 102.5, 104.75, 106.0, 108.0.
TEMPERATURES = Sample(_five_minutes_apart({"rack1": _RACK1, "rack2": _RACK2}))

# rack1 and rack2 turn to warning at 08:15, their third hot reading in a row; rack1 turns back to normal at 08:20. rack3
# is never hot.
ALERTS = Sample(_five_minutes_apart({"rack1": [*_RACK1, 99.0], "rack2": _RACK2, "rack3": [97.0, 98.5, 99.5, 99.9]}))

SOURCE = Source(
    "racks",
    "rack_readings",
    "rack",
    event,
    Keys("rack-", width=2, count=5),
    {"rack-temperatures": TEMPERATURES, "rack-alerts": ALERTS},
    json=True,
)
