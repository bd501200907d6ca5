"""Turn the options of `adstream produce` into the times of the events and the rate of sending."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from common.errors import ConfigError
from common.text.durations import parse_duration
from producer.timeline import MILLISECOND, Timeline, parse_start, to_millis

DEFAULT_RATE = 100.0
REPEATABLE_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """The run of a generator; `notes` are lines for the user before the first event.

    With `live` each event happens when the producer sends it, and the first event's time is the moment when it is made.
    """

    seed: int
    timeline: Timeline
    rate: float
    notes: list[str] = field(default_factory=list)
    live: bool = False

    def begun(self, now_ms: int) -> Timeline:
        """Return the timeline for a generator whose first event is made now."""
        return replace(self.timeline, start_ms=now_ms) if self.live else self.timeline


@dataclass(frozen=True)
class Wish:
    """The user's options; None for an option that is not set."""

    seed: int | None = None
    count: int | None = None
    rate: float | None = None
    start: str | None = None
    over: str | None = None


def plan(wish: Wish, clock: Callable[[], datetime]) -> Plan:
    """Decide the open options.

    With a seed and a count the run is repeatable byte for byte. So its events start at a fixed time; otherwise they
    happen now. `over` spreads the events evenly over that much time, ending now, and sends them at full speed.
    """
    now = clock()
    notes = []
    seed = wish.seed
    if seed is None:
        seed = secrets.randbits(32)
        notes.append(f"seed {seed}")
    if wish.over is not None:
        return Plan(seed, _spread(wish, now), wish.rate or 0.0, notes)
    rate = DEFAULT_RATE if wish.rate is None else wish.rate
    step_ms = 1000 / rate if rate else 1.0
    if wish.start is None and wish.seed is not None and wish.count is not None:
        notes.append(
            f"events start at {REPEATABLE_START:%Y-%m-%dT%H:%M:%SZ}, so that this seed and count always send the same"
            " bytes; give --start now for events that happen now"
        )
        return Plan(seed, Timeline(to_millis(REPEATABLE_START), step_ms), rate, notes)
    start_ms = to_millis(parse_start(wish.start or "now", now))
    if not rate and wish.start in (None, "now"):
        return Plan(seed, Timeline(start_ms, 0.0, lambda: to_millis(clock())), rate, notes)
    return Plan(seed, Timeline(start_ms, step_ms), rate, notes, live=wish.start in (None, "now"))


def _spread(wish: Wish, now: datetime) -> Timeline:
    if not wish.count:
        raise ConfigError("--over needs --count", "say how many events to spread over that time")
    span = parse_duration(wish.over or "0", "--over")
    start = parse_start(wish.start, now) if wish.start else now - span
    return Timeline(to_millis(start), span / MILLISECOND / wish.count)
