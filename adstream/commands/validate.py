"""`adstream validate JOB`: check a job's tables in the lakehouse, and remove them after a trial."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.commands import completion
from adstream.documents import AsJson, print_document
from common.errors import Mismatch
from common.settings import Settings
from common.text.progress_line import Working
from common.text.terminal import Terminal, parts

if TYPE_CHECKING:
    from streaming.iceberg.checks import Check


def validate(
    job: Annotated[
        str,
        typer.Argument(help="The job whose tables are checked.", autocompletion=completion.validated),
    ],
    clean_up: Annotated[
        bool, typer.Option("--clean-up", help="Remove the tables afterwards, whatever the result of the checks.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the Iceberg tables that a job has written: not empty, within bounds, adding up.

    Exits with 1 if a check fails.

    Example: `adstream validate sensor-averages --clean-up`

    Example: `adstream validate daily-sales --json | jq '.[] | select(.holds | not)'`
    """
    from streaming.iceberg.validation import find
    from streaming.spark.session import spark_session

    settings, chosen = Settings(), find(job)
    out = Terminal(stderr=as_json)
    with spark_session(settings, "validate", lakehouse=True) as spark:
        with Working("checking the tables"):
            checks = chosen.run(spark, settings.lakehouse)
        if as_json:
            print_document([asdict(check) for check in checks])
        else:
            _print_checks(checks, out)
        if clean_up:
            for name in chosen.clean_up(spark, settings.lakehouse):
                out.print(f"removed {name}")
    failed = [check for check in checks if not check.holds]
    if failed:
        raise Mismatch(
            f"{len(failed)} of {len(checks)} checks failed: {failed[0].what}: {failed[0].found}",
            f"`adstream show {job}` shows the rows",
        )


def _print_checks(checks: "list[Check]", out: Terminal) -> None:
    for check in checks:
        mark = ("ok    ", "green") if check.holds else ("FAILED", "red")
        out.print(parts(mark, f" {check.what}: {check.found}"))
