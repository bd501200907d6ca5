"""`adstream cql`: cqlsh on the cluster of the settings."""

import sys
from typing import Annotated

import typer

from common.settings import Settings
from common.text.shown import say


def cql(
    statement: Annotated[str | None, typer.Argument(help="CQL to run; without it the shell opens.")] = None,
) -> None:
    """Run CQL through cqlsh on the right host, port and keyspace, or open its shell. Times are UTC.

    Example: `adstream cql "SELECT * FROM ad_metrics LIMIT 10"`
    """
    from adstream import cqlsh
    from common.cassandra.session import connect

    settings = Settings().cassandra
    if statement is None:
        with connect(settings, keyspace=settings.keyspace):
            pass  # the errors of cqlsh would not say what to do
        say(f"{settings.where}; times are UTC unless your cqlshrc has another timezone")
        raise typer.Exit(cqlsh.interactive(settings))
    sys.stdout.write(cqlsh.query(settings, statement, color=sys.stdout.isatty()))
    sys.stdout.flush()
    say("times are UTC", err=True)
