"""`adstream cql`: cqlsh on the cluster of the settings."""

import sys
from typing import Annotated

import typer

from adstream.settings import Settings


def cql(
    statement: Annotated[str | None, typer.Argument(help="CQL to run; without it the shell opens.")] = None,
) -> None:
    """Run CQL through cqlsh on the right host, port and keyspace, or open its shell.

    Example: `adstream cql "SELECT * FROM ad_metrics LIMIT 10"`
    """
    from adstream import cqlsh

    settings = Settings().cassandra
    if statement is None:
        raise typer.Exit(cqlsh.interactive(settings))
    sys.stdout.write(cqlsh.query(settings, statement, color=sys.stdout.isatty()))
    sys.stdout.flush()
