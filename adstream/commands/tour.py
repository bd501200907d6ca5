"""`adstream tour`: the life of a pipeline, step by step, on the real services."""

import sys
from typing import Annotated

import typer

from common.errors import ConfigError
from common.text.terminal import Terminal


def tour(
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Go on without asking for Enter.")] = False,
) -> None:
    """Follow events through the pipeline: late and broken ones, a new schema, a killed job, and a final proof.

    The tour takes a quarter of an hour. It has its own topics and keyspace, stops the processes that it starts, and
    leaves the services up.

    Example: `adstream tour`
    """
    from adstream.tour.steps import Tour

    if not no_wait and not sys.stdin.isatty():
        raise ConfigError("nobody is there to press Enter", "give --no-wait")
    Tour(Terminal(), wait=not no_wait).run()
