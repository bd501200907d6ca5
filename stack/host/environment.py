"""The user's environment for our Java processes: the places of this machine, and little else.

Kafka, the registry, Cassandra and Spark all read variables. A user's shell may have them for another installation.
"""

import os
from collections.abc import Mapping

# Java itself reads these. `_JAVA_OPTIONS` would win over the options that we give.
JAVA_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
_WINNING, _LOSING = "_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"
_OF_THE_MACHINE = ("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", *JAVA_OPTIONS)
_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
_UTF_8 = "C.UTF-8"


def of_a_service() -> dict[str, str]:
    """Return the environment of a service of the local stack."""
    kept = {name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}
    return {"PATH": os.defpath, **java_environment(kept), "LC_ALL": _UTF_8}


def java_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the user's options for every Java. Options on the command line win over these.

    File names are UTF-8: otherwise Java would encode them by the locale.
    """
    changed = dict(environment)
    winning = changed.pop(_WINNING, "")
    if winning:
        changed[_LOSING] = f"{changed.get(_LOSING, '')} {winning}".strip()
    locale = next((changed[name] for name in _LOCALE if changed.get(name)), "")
    if "utf" not in locale.lower():
        changed["LC_ALL"] = _UTF_8
    return changed


def named_options() -> str:
    """Return the addition to the remedy for a Java that did not start: the variables that change every Java."""
    named = java_options_set()
    return f", and try without {' and '.join(named)}" if named else ""


def java_options_set() -> list[str]:
    """Return the variables with options for every Java that are set."""
    return [name for name in JAVA_OPTIONS if os.environ.get(name, "").strip()]
