"""The local folders of checkpoints: the name of a folder set aside, and the records of those that jobs still use."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from common.settings import Settings

RECORD = "adstream.json"
_SET_ASIDE = re.compile(r".+\.before-[0-9]{8}T[0-9]{6}Z")


def aside(checkpoint: Path, now: datetime) -> Path:
    """Return the folder to which `adstream reset` moves a checkpoint at this time (UTC)."""
    return checkpoint.with_name(f"{checkpoint.name}.before-{now:%Y%m%dT%H%M%SZ}")


def records(settings: Settings) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Yield each checkpoint folder with its recorded options, by name; None if they cannot be read.

    Leaves out the folders that `adstream reset` has set aside: no job goes on with them.
    """
    for file in sorted(settings.checkpoints.glob(f"*/{RECORD}")):
        if _SET_ASIDE.fullmatch(file.parent.name):
            continue
        try:
            made_with = _read(file)
        except FileNotFoundError:  # set aside in this moment
            continue
        yield file.parent, made_with


def topics(settings: Settings) -> set[str]:
    """Return the topics that the checkpoints count. Checkpoints over files or a socket have none."""
    return {made_with["topic"] for _, made_with in records(settings) if made_with and "topic" in made_with}


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("topic", ""), str) else None
