"""Moments as people write them: ISO 8601 (UTC without a zone), or how long ago: `2h`, `30 minutes`.

The command line, CSV and JSON share one form of a time: `2025-01-31T10:00:00.123Z`. Seconds, decimals, zone and the
time of day may be missing, and a space may stand for the `T`. ISO 8601 has more forms, which look like numbers of
seconds or like other times. They are refused. `datetime.fromisoformat` reads 1740121600000, milliseconds since 1970, as
a day of the year 1740.
"""

import re
from datetime import UTC, date, datetime, timedelta

from common.errors import ConfigError
from common.text.durations import parse_duration

_DAY = r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
# Java knows offsets of up to 18 hours.
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))"
# Without anchors; the same in the syntax of Python and of Java.
TIME = rf"{_DAY}(?:[T ]{_CLOCK}{_ZONE}?)?"
# Ten digits: 2001-09-09 to 2286-11-20. So neither 20250221 nor milliseconds count as seconds.
EPOCH_SECONDS = r"[1-9][0-9]{9}"

_TIME = re.compile(TIME)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def iso_utc(text: str) -> datetime:
    """Parse an aware datetime; cuts decimals beyond microseconds. Raises ValueError for any other form."""
    try:
        moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:  # 30 February
        moment = None
    if moment is None:
        raise ValueError(f"{text!r} is not a time like 2025-01-31T10:00:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso_date(text: str) -> date:
    """Parse a day like `2025-01-31`. Raises ValueError for any other form."""
    if not re.fullmatch(_DAY, text):
        raise ValueError(f"{text!r} is not a date like 2025-01-31")
    return date.fromisoformat(text)


def to_millis(moment: datetime) -> int:
    """Return milliseconds since 1970 of an aware datetime, rounded down.

    The result is exact, unlike a float of seconds.
    """
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime | None:
    """Return the moment (UTC) of milliseconds since 1970; None outside of the years 1 to 9999.

    Kafka accepts such times of records. A producer makes them when it gives microseconds.
    """
    try:
        return _EPOCH + millis * _MILLISECOND
    except OverflowError:
        return None


def parse_moment(option: str, text: str, now: datetime) -> datetime:
    """Parse a moment. Raises ConfigError, which names the `option`."""
    try:
        return iso_utc(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except (ConfigError, OverflowError):
            raise ConfigError(
                f"{option} {text} is not a time", "give 2026-01-31T10:00:00Z, or how long ago, like 2h"
            ) from None
