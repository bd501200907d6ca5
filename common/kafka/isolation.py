"""The isolation level of a checkpoint or an archive, which never changes."""

from collections.abc import Mapping
from typing import Any

from common.settings import READ_UNCOMMITTED, IsolationLevel

ISOLATION = "isolation_level"
# The isolation level of earlier releases, which did not record it.
BEFORE_ISOLATION: dict[str, Any] = {ISOLATION: READ_UNCOMMITTED}


def made_at_level(made_with: Mapping[str, Any]) -> IsolationLevel:
    """Return the level among the options that were written when a checkpoint or an archive was made."""
    level: IsolationLevel = made_with.get(ISOLATION, READ_UNCOMMITTED)
    return level
