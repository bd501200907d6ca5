"""`adstream up | down | status | doctor`: the local services."""

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.documents import AsJson, print_document
from common.text.progress_line import Working
from common.text.shown import say

if TYPE_CHECKING:
    from rich.text import Text

    from common.settings import Settings
    from stack.checks.doctor import Finding
    from stack.local import Status

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the stack keeps its data (ADSTREAM_DATA_DIR; default .adstream)."),
]
IsSecured = Annotated[
    bool, typer.Option("--secured", help="The secured stack, in the folder `secured` of the data folder.")
]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="0 means any free port, the same again next time.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(secure)
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def secure(data_dir: DataDir = None) -> None:
    """Make certificates, passwords and a file of settings for each role of a secured stack. Existing files stay.

    `up --secured` does this too.

    Example: `adstream secure`
    """
    from stack.security import secured

    settings = _settings(data_dir, secured=True)
    for path in secured.make(settings.data_dir):
        say(f"made {_short(path)}")
    for role, (does, _services) in secured.ROLES.items():
        say(f"{role:<8}  {does}: adstream --env-file {_word(secured.Secured(settings.data_dir).env_file(role))}")


def up(
    data_dir: DataDir = None,
    secured: IsSecured = False,
    kafka_port: Port = None,
    registry_port: Port = None,
    cassandra_port: Port = None,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Use any free port for each service.")] = False,
    spark_workers: Annotated[
        int, typer.Option(min=0, max=16, help="Also start a Spark cluster with this many workers; jobs then run there.")
    ] = 0,
) -> None:
    """Start Kafka, the schema registry and Cassandra. Running ones are left alone.

    Example: `adstream up --free-ports`

    Example, with TLS, passwords and rights: `adstream up --secured`
    """
    from common.text.terminal import Terminal
    from stack import local
    from stack.ivy import FETCHING
    from stack.security.secured import make

    settings = _settings(data_dir, secured=secured)
    if secured:
        make(settings.data_dir)
    wanted = {"kafka": kafka_port, "registry": registry_port, "cassandra": cassandra_port, "spark": None}
    for name, port in wanted.items():
        if port is not None or free_ports:
            setattr(settings.stack, f"{name}_port", port or 0)
    console = Terminal()
    with Working("starting the services") as working:

        def report(line: str) -> None:
            # The progress of a download changes every two seconds. A terminal shows it in one place.
            if working.shown and line.startswith(FETCHING):
                working(line)
            else:
                console.print(line)

        found = local.up(settings, spark_workers=spark_workers, report=report)
    console.print(f"Kafka            {found.bootstrap_servers}")
    console.print(f"Schema registry  {found.registry_url}")
    console.print(f"Cassandra        127.0.0.1:{found.cassandra_port}")
    if found.spark_master:
        console.print(f"Spark master     {found.spark_master}")
    if secured:
        admin = _word(settings.data_dir / "admin.env")
        console.print(f"For the other commands to find them: adstream --env-file {admin} ..., or another role's file")
    elif data_dir is not None:
        folder = shlex.quote(str(data_dir.absolute()))
        console.print(f"For the other commands to find them: export ADSTREAM_DATA_DIR={folder}")
    console.print(f"Stop them with: adstream down{_options(data_dir, secured=secured)}")


def down(data_dir: DataDir = None, secured: IsSecured = False) -> None:
    """Stop the local services; their data are kept for the next `up`.

    Example: `adstream down`
    """
    from stack import local

    stopped = local.down(_settings(data_dir, secured=secured), report=say)
    say(f"stopped {', '.join(stopped)}; the data are kept" if stopped else "nothing was running")


def status(
    data_dir: DataDir = None,
    secured: IsSecured = False,
    as_json: AsJson = False,
) -> None:
    """Show the services with address and state. Exits with 1 if a service is down.

    Example: `adstream status --json`
    """
    from stack import local

    found = local.status(_settings(data_dir, secured=secured))
    if as_json:
        print_document([_as_dict(one) for one in found])
    else:
        _show(found)
    if any(one.problem for one in found):
        raise typer.Exit(1)


def doctor(data_dir: DataDir = None, secured: IsSecured = False, as_json: AsJson = False) -> None:
    """Check this machine before trying: Java, Python, ports, memory, disk and more. Exits with 1 on a FAIL.

    Example: `adstream doctor`

    Example: `adstream doctor --json | jq -r '.[] | select(.verdict != "OK").detail'`
    """
    from common.text.terminal import Terminal
    from stack.checks.doctor import examine

    console = Terminal()
    found = []
    for finding in examine(_settings(data_dir, secured=secured)):
        found.append(finding)
        if not as_json:
            console.print(_finding_line(finding))
    if as_json:
        print_document([asdict(finding) for finding in found])
    if any(finding.verdict == "FAIL" for finding in found):
        raise typer.Exit(1)


def _settings(data_dir: Path | None, *, secured: bool) -> "Settings":
    """Return the settings for this stack. The environment names its folder, so every section finds the same stack."""
    from common.own_stack import SECURED
    from common.settings import DATA_DIR_OPTION, ENV_FILE_OPTION, Settings
    from stack.security.secured import ADMIN, Secured, is_secured

    if data_dir is not None:
        os.environ[DATA_DIR_OPTION] = str(data_dir)
    settings = Settings()
    if data_dir is not None and not secured and settings.data_dir.resolve() != data_dir.resolve():
        del os.environ[ENV_FILE_OPTION]  # a role's file, which names the secured stack in this folder
        settings = Settings()
    if secured and not is_secured(settings.data_dir):
        settings.data_dir = (settings.data_dir / SECURED).absolute()
        os.environ[DATA_DIR_OPTION] = str(settings.data_dir)
        admin = Secured(settings.data_dir).env_file(ADMIN)
        if admin.exists():
            os.environ[ENV_FILE_OPTION] = str(admin)
    return settings


def _options(data_dir: Path | None, *, secured: bool) -> str:
    return (f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else "") + (" --secured" if secured else "")


def _as_dict(one: "Status") -> dict[str, object]:
    return {
        "service": one.name,
        "address": one.address or None,
        "pid": one.pid,
        "healthy": one.problem is None,
        "problem": one.problem,
        "memory_bytes": one.memory,
        "log": str(one.log),
    }


def _show(found: "list[Status]") -> None:
    from rich.table import Table

    from common.text.terminal import Terminal, plain, print_whole

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "address", "pid", "health", "memory", "log"):
        table.add_column(column, no_wrap=True)
    for one in found:
        health = plain("ok", "green") if one.problem is None else plain(one.problem, "red")
        memory = f"{one.memory / 1024**2:.0f} MB" if one.memory else "-"
        table.add_row(
            plain(one.name), plain(one.address or "-"), str(one.pid or "-"), health, memory, plain(_short(one.log))
        )
    # A path in pieces could not be copied. So a line longer than the terminal continues below.
    print_whole(Terminal(), table)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _word(path: Path) -> str:
    """Return the path as one word of a command, as a shell reads it."""
    return shlex.quote(_short(path))


_COLOURS = {"OK": "green", "WARN": "yellow", "FAIL": "red"}


def _finding_line(finding: "Finding") -> "Text":
    from common.text.terminal import parts

    remedy = f"; {finding.remedy}" if finding.remedy else ""
    verdict = (f"{finding.verdict:<4}", _COLOURS[finding.verdict])
    return parts(verdict, f" {finding.subject}: {finding.detail}{remedy}")
