"""When each event of a run happened, in milliseconds UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.errors import ConfigError
from common.text.durations import parse_duration
from common.text.moments import iso_utc
from common.text.moments import to_millis as to_millis

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Timeline:
    """Event number i happens at `start_ms + i * step_ms`. With a clock instead of a step it happens now."""

    start_ms: int
    step_ms: float
    clock_ms: Callable[[], int] | None = None

    def at(self, position: int) -> int:
        if self.clock_ms is not None:
            return self.clock_ms()
        return self.start_ms + int(position * self.step_ms)


def millis(text: str) -> int:
    """Return milliseconds since 1970 of a programmer's time: ISO 8601, UTC without an offset."""
    return to_millis(iso_utc(text))


def parse_start(text: str, now: datetime) -> datetime:
    """Parse `now`, `-5m` (that long before now) or ISO 8601 (UTC without an offset). Raises ConfigError."""
    if text == "now":
        return now
    try:
        return now - parse_duration(text[1:]) if text.startswith("-") else iso_utc(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"--start {text} is not a time", "give now, -5m, or 2025-01-31T10:00:00Z") from None
