"""Questions before a step that cannot be undone."""

import sys

import typer

from common.errors import ConfigError


def require_somebody(remedy: str) -> None:
    """Raise ConfigError if nobody sits at the terminal to answer."""
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to say yes", remedy)


def ask(question: str, remedy: str) -> None:
    """Go on only after a yes. `remedy` is for a run without a terminal. Raises ConfigError, typer.Abort."""
    require_somebody(remedy)
    typer.confirm(question, abort=True)
