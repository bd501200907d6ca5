"""The services of a data folder: commands use the folder's own stack once `adstream up` was tried in it.

`adstream up` writes `<data dir>/stack.json` before it starts anything. From then on commands no longer use the default
addresses: if the own service does not run, another installation's may answer there.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

STACK_FILE = "stack.json"
SECURED = "secured"
# Seconds between two readings of a process's creation time: Linux moves it by a second when its clock is corrected.
CREATE_TIME_TOLERANCE = 2.0


@dataclass(frozen=True)
class Found:
    """The data folder's record of one service of its stack. `remedy` says what to do if it is not `running`.

    `folder` is the data folder of the stack, `addresses` are the service's last known ones. `last` is its last port as
    text, empty if it never had one.
    """

    folder: Path
    addresses: dict[str, Any]
    running: bool
    remedy: str
    last: str = ""


def find(data: Path, service: str) -> Found | None:
    """Return the own stack's service for this section of the settings; None if no stack was ever started."""
    state = _state(data)
    if state is not None:
        known = state.get("addresses", {}).get(service, {})
        runs = bool(known) and _runs(state.get("services", {}).get(service))
        port = state.get("ports", {}).get(service)
        return Found(data, known, runs, "start one with `adstream up`", f"127.0.0.1:{port}" if port else "")
    if (data / SECURED / STACK_FILE).exists():
        role = shlex.quote(str(data / SECURED / "admin.env"))
        return Found(data / SECURED, {}, False, f"that stack is a secured one: use `adstream --env-file {role} ...`")
    return None


def address_of(data: Path, name: str) -> dict[str, Any]:
    """Return the address of a part of the own stack without users' data, like the Spark master.

    Empty unless the part runs.
    """
    state = _state(data) or {}
    known: dict[str, Any] = state.get("addresses", {}).get(name, {})
    return known if _runs(state.get("services", {}).get(name)) else {}


def _state(data: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((data / STACK_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs(entry: object) -> bool:
    """Return whether the entry's process exists; another process with its id has another creation time."""
    if entry is None:
        return True  # no record names the process
    try:
        process = psutil.Process(entry["pid"])  # type: ignore[index]
        created: float = entry["create_time"]  # type: ignore[index]
        return abs(process.create_time() - created) < CREATE_TIME_TOLERANCE
    except (psutil.Error, TypeError, KeyError, ValueError):
        return False
