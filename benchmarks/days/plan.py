"""The plan of a day: how many messages each minute of event time has, and which windows must exist at its end.

The plan knows no clock and no service. All times are UTC, in milliseconds since 1970 or in minutes since midnight.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from zoneinfo import ZoneInfo

from common.errors import ConfigError
from common.text.moments import to_millis

DAY_MINUTES = 24 * 60
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
# As the job has them, and not taken from there: the plan must not repeat the job's mistakes.
WINDOW_MS, SLIDE_MS = 60_000, 30_000
# With fewer messages in a minute, half a minute might by chance hold only messages that do not count.
LEAST = 20

# The second version of the schema comes here, and here the job is stopped and the new code started.
SCHEMA_MINUTE = 10 * 60
DEPLOY_MINUTE = 14 * 60


@dataclass(frozen=True)
class Part:
    """A part of the day: its first minute, and its rate as a multiple of the usual one."""

    begin: int
    load: float
    name: str


# The clocks of Central Europe change at 01:00 UTC. That hour and the hour before have events.
PARTS = (
    Part(0, 0.5, "the clocks change"),
    Part(2 * 60, 0.0, "idle night"),
    Part(5 * 60, 0.5, "morning"),
    Part(8 * 60, 1.0, "day"),
    Part(18 * 60, 10.0, "burst"),
    Part(18 * 60 + 30, 1.0, "evening"),
    Part(22 * 60, 0.5, "late evening"),
)


@dataclass(frozen=True)
class Plan:
    """A day with `usual` messages in a minute of event time, times the load of its part."""

    date: date
    usual: float
    parts: tuple[Part, ...] = PARTS

    @cached_property
    def begin(self) -> int:
        """The first millisecond of the day."""
        return to_millis(datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC))

    @property
    def end(self) -> int:
        """The first millisecond after the day."""
        return self.begin + DAY_MINUTES * MINUTE_MS

    @property
    def messages(self) -> int:
        return self._upto[-1]

    def part(self, minute: int) -> Part:
        """Return the part of the day that holds this minute."""
        return self.parts[bisect_right([part.begin for part in self.parts], minute) - 1]

    def in_minute(self, minute: int) -> int:
        """Return the number of messages of this minute."""
        return round(self.usual * self.part(minute).load)

    def first(self, minute: int) -> int:
        """Return the position of the first message of this minute, or of a later one if it has none."""
        return self._upto[minute]

    def at(self, position: int) -> int:
        """Return the time of a message: those of a minute are evenly spread over it."""
        minute = bisect_right(self._upto, position) - 1
        return self.begin + minute * MINUTE_MS + (position - self._upto[minute]) * MINUTE_MS // self.in_minute(minute)

    def starts(self) -> list[int]:
        """Return the starts of all windows that must exist: each half minute with events is in two windows."""
        found: set[int] = set()
        for minute in range(DAY_MINUTES):
            if self.in_minute(minute):
                begin = self.begin + minute * MINUTE_MS
                found.update(range(begin - WINDOW_MS + SLIDE_MS, begin + MINUTE_MS, SLIDE_MS))
        return sorted(found)

    @cached_property
    def _upto(self) -> list[int]:
        """The number of messages before each minute, and in the whole day."""
        return [0, *accumulate(self.in_minute(minute) for minute in range(DAY_MINUTES))]


def planned(day: date, rate: float, minutes: float, now: datetime) -> Plan:
    """Return the plan of a day that is replayed in this many minutes, with `rate` messages a second as usual load.

    Raises ConfigError for a day that is not over, because Kafka refuses times of the future. Raises it for a rate that
    would leave windows empty by chance.
    """
    plan = Plan(day, rate * 60 * minutes / DAY_MINUTES)
    if plan.end > to_millis(now):
        raise ConfigError(f"{day} is not over yet", "give a day of the past with --date")
    lowest = min(part.load for part in plan.parts if part.load)
    if round(plan.usual * lowest) < LEAST:
        enough = -(-LEAST * DAY_MINUTES // (60 * minutes * lowest))
        raise ConfigError(
            f"at {rate:g} messages a second windows could be empty by chance", f"give --rate {enough:.0f}"
        )
    return plan


def starts_of(moment: int) -> Iterator[int]:
    """Return the starts of the windows that hold this moment."""
    newest = moment - moment % SLIDE_MS
    yield from range(newest, newest - WINDOW_MS, -SLIDE_MS)


def by_hour(starts: Iterator[int] | list[int]) -> Counter[int]:
    """Count windows by the hour in which they begin."""
    return Counter(start - start % HOUR_MS for start in starts)


def clock_change(day: date, zone: ZoneInfo) -> str:
    """Describe how the zone's clock is changed on this day of UTC; empty if it is not."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for hour in range(24):
        moment = midnight + timedelta(hours=hour)
        before = (moment - timedelta(milliseconds=1)).astimezone(zone)
        after = moment.astimezone(zone)
        if before.utcoffset() != after.utcoffset():
            return f"at {moment:%H:%M} UTC the clock in {zone.key} goes from {before:%H:%M:%S} to {after:%H:%M}"
    return ""


def moment(milliseconds: int) -> datetime:
    """Return the time, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
