"""The `adstream` program: its commands, and its errors, each in one line."""

import io
import logging
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from adstream.commands import dead_letters, schema, stack
from adstream.commands.apply import apply
from adstream.commands.archive import archive
from adstream.commands.backfill import backfill
from adstream.commands.batch import batch
from adstream.commands.consume import consume
from adstream.commands.cql import cql
from adstream.commands.dashboard import dashboard
from adstream.commands.demo import demo
from adstream.commands.explain import explain
from adstream.commands.job_options import JobCommand
from adstream.commands.jobs import jobs
from adstream.commands.migrate import migrate
from adstream.commands.produce import produce
from adstream.commands.reset import reset
from adstream.commands.show import show
from adstream.commands.sql import sql
from adstream.commands.stream import stream
from adstream.commands.tour import tour
from adstream.commands.usage import Commands
from adstream.commands.validate import validate
from adstream.commands.verify import verify
from common.errors import AdstreamError, StackError
from common.settings import ENV_FILE_OPTION
from common.system.python_path import leave_other_pysparks
from common.text.shown import say


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adstream {metadata.version('adstream')}")
        raise typer.Exit


app = typer.Typer(
    name="adstream",
    cls=Commands,
    help="Ad analytics on Kafka, Avro, Spark Structured Streaming and Cassandra.",
    epilog="Example: `adstream demo`",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _for_every_command(
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help="A file of settings, which win over those of .env (ADSTREAM_ENV_FILE)."),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if env_file is not None:
        os.environ[ENV_FILE_OPTION] = str(env_file.absolute())


stack.register(app)
app.command()(produce)
app.command()(consume)
app.add_typer(schema.app, name="schema")
app.command()(migrate)
app.command()(show)
app.command()(cql)
app.command()(jobs)
app.command()(explain)
app.command(cls=JobCommand)(stream)
app.command()(apply)
app.command()(batch)
app.command()(validate)
app.command()(sql)
app.command()(verify)
app.command()(reset)
app.command()(backfill)
app.command()(archive)
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(dashboard)
app.command()(demo)
app.command()(tour)


def main() -> None:
    """Run one command. Exit codes: 0 done, 1 a user's or service's error in one line, 2 usage, 130 Ctrl-C."""
    # The program prints everything that a user needs. Logs of libraries do not belong on the terminal.
    logging.getLogger().addHandler(logging.NullHandler())
    # A terminal or file without UTF-8 gets `\u2028` for a character that it cannot show, and no traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    leave_other_pysparks()
    try:
        app(prog_name="adstream")
    except AdstreamError as error:
        _end(error)
    except Exception as error:
        if not _driver_lacks_libev(error):
            raise
        remedy = "install the locked wheel: delete .venv and run `make setup`"
        _end(StackError("the Cassandra driver has no libev, its event loop", remedy))


def _driver_lacks_libev(error: Exception) -> bool:
    """Return whether this is the refusal of a driver built without libev. Importing such a driver fails.

    The driver takes long to import, so this asks only a driver that a command has imported.
    """
    driver = sys.modules.get("cassandra")
    return driver is not None and isinstance(error, driver.DependencyException)


def _end(error: AdstreamError) -> NoReturn:
    say(f"error: {error}", err=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
