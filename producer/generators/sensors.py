"""Sensors: each sends its temperature now and then."""

from random import Random

from producer.samples import Event, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

COLDEST, HOTTEST = 60.0, 90.0

SAMPLE_SEED = 2025
SAMPLE_START = "2025-03-29T10:00:00Z"
SAMPLE_READINGS = 300
SAMPLE_SENSORS = 5
SAMPLE_STEP_MILLIS = 3_000


def event(rng: Random, sensor_id: str, timestamp: int, _event_id: str) -> Event:
    """Make a reading of 60 to 90 degrees, with one decimal."""
    temperature = round(COLDEST + (HOTTEST - COLDEST) * rng.random(), 1)
    return {"sensor_id": sensor_id, "temperature": temperature, "timestamp": timestamp}


def _readings() -> list[Event]:
    rng, start = Random(SAMPLE_SEED), millis(SAMPLE_START)
    return [
        event(rng, f"sensor{nth % SAMPLE_SENSORS + 1}", start + nth * SAMPLE_STEP_MILLIS, "")
        for nth in range(SAMPLE_READINGS)
    ]


# 15 minutes of 5 sensors in turn: 15 averages of 5 minutes (20 readings each), and 95 that start every minute. The last
# reading lets the watermark pass the ends of all these windows. Its own window stays open, so the job does not emit
# `closing`.
READINGS = one_step(
    [*_readings(), {"sensor_id": "closing", "temperature": COLDEST, "timestamp": millis("2025-03-29T10:30:00Z")}]
)

SOURCE = Source(
    "sensors",
    "sensor_readings",
    "sensor_id",
    event,
    Keys("sensor-", width=2, count=10),
    {"sensor-averages": READINGS, "sensor-moving-averages": READINGS},
    json=True,
)
