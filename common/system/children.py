"""The command lines of this program's children that run Python."""

import sys


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `module` by this Python.

    With `-m` alone Python would search the working directory first, and import a user's own package `common` or
    `producer` instead of ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
