"""Failures of a query: how often the runner tries again, after which pause, and after which errors it does not."""

from datetime import timedelta

from common.errors import (
    AccessDenied,
    BadInput,
    CheckpointError,
    ConfigError,
    MigrationError,
    SchemaNotFound,
    TopicNotFound,
)

# A batch that fails this often in a row stops the job: 1 + 2 + 4 + 8 seconds of pauses.
ATTEMPTS = 5
_FIRST_PAUSE = timedelta(seconds=1)

# A retry does not help against these errors.
FINAL = (AccessDenied, BadInput, CheckpointError, ConfigError, MigrationError, SchemaNotFound, TopicNotFound)


def pause_after(failures: int) -> timedelta:
    """Return the pause before the next attempt, after so many failures in a row."""
    return _FIRST_PAUSE * (1 << (failures - 1))
