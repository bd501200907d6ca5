"""Moments as people write them: ISO 8601 (UTC unless it says otherwise), or how long ago: `2h`, `30 minutes`."""

from datetime import UTC, datetime

from adstream.durations import parse_duration
from adstream.errors import ConfigError


def iso_utc(text: str) -> datetime:
    """An aware datetime. Raises ValueError for what is not ISO 8601."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_moment(option: str, text: str, now: datetime) -> datetime:
    """The moment that `text` says. Raises ConfigError, which names the `option`."""
    try:
        return iso_utc(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except (ConfigError, OverflowError):
            raise ConfigError(
                f"{option} {text} is no moment", "give 2026-01-31T10:00:00Z, or how long ago, like 2h"
            ) from None
