"""Durations as people write them: `30s`, `1 minute`, `10 min`, `2h`, `7 days`, `500ms`."""

import re
from datetime import timedelta

from common.errors import ConfigError

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SPELLINGS = {
    "millisecond": "ms", "milliseconds": "ms", "ms": "ms",
    "second": "s", "seconds": "s", "sec": "s", "s": "s",
    "minute": "m", "minutes": "m", "min": "m", "m": "m",
    "hour": "h", "hours": "h", "h": "h",
    "day": "d", "days": "d", "d": "d",
}  # fmt: skip
_DURATION = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>[a-z]+)")


def parse_duration(text: str, option: str = "") -> timedelta:
    """Parse a duration; `0` needs no unit. Raises ConfigError, which names the `option`."""
    said = f"{option} {text!r}".strip()
    if text.strip() == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(text.strip().lower())
    unit = _SPELLINGS.get(match["unit"]) if match else None
    if match is None or unit is None:
        raise ConfigError(f"{said} is not a duration", "write it like 30s, 1 minute or 2h")
    try:
        return float(match["number"]) * _UNITS[unit]
    except OverflowError:
        raise ConfigError(f"{said} is too long a duration", "write it like 30s, 1 minute or 2h") from None


def duration_text(duration: timedelta) -> str:
    """Write a duration for `parse_duration`, in the largest unit with a whole number: `90s`, `2h`."""
    unit, length = next(each for each in reversed(_UNITS.items()) if not duration % each[1] or each[0] == "ms")
    return f"{duration // length}{unit}" if duration else "0"
