"""The folder of the program's own data: what to tell a user if it cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import ConfigError


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Write below `place` in this context. Raises ConfigError if that is not possible."""
    try:
        yield
    except OSError as refused:
        raise ConfigError(
            f"{place} cannot be written: {refused.strerror}",
            "correct its permissions, or name another folder by ADSTREAM_DATA_DIR",
        ) from None
