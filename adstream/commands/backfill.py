"""`adstream backfill JOB`: compute closed windows again, and correct them."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from adstream.commands import completion
from adstream.commands.asking import ask, require_somebody
from adstream.commands.backfill_page import conclude, report
from common.errors import ConfigError
from common.settings import Settings
from common.text.moments import parse_moment
from common.text.nearest import did_you_mean
from common.text.progress_line import Working
from common.text.terminal import Terminal

_LOOK_FIRST = "add --yes, or leave --correct out to look first"


def backfill(
    job: Annotated[str, typer.Argument(help="The job, for example ad-metrics.", autocompletion=completion.verified)],
    start: Annotated[str, typer.Option("--from", help="First window's start: ISO 8601, or how long ago, like 3h.")],
    end: Annotated[
        str, typer.Option("--to", help="Windows that begin before this; now unless given.", show_default=False)
    ] = "0",
    correct: Annotated[bool, typer.Option("--correct", help="Write the windows that differ.")] = False,
    late: Annotated[bool, typer.Option("--late", help="Count late events in their windows, too.")] = False,
    archive: Annotated[
        str | None, typer.Option(help="Read this folder of `adstream archive` instead of Kafka.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="The job's checkpoint; else <data dir>/checkpoints/JOB.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
) -> None:
    """Compute closed windows again from Kafka or an archive. Report how the table differs, or correct it.

    The job may run meanwhile: it never writes closed windows again. Totals stay unchanged; the report says what late
    events would add to them. Exits with 1 if windows differ.

    Example: `adstream backfill ad-metrics --from 6h --to 2h`

    Example: `adstream backfill ad-metrics --from 2026-01-31T10:00:00Z --to 2026-01-31T12:00:00Z --late --correct`
    """
    known = completion.verified("")
    if job not in known:
        remedy = did_you_mean(job, known, f"use `adstream backfill {known[0]}`")
        raise ConfigError(f"there is no backfill for {job}", remedy)
    now = datetime.now(UTC)
    first, last = parse_moment("--from", start, now), parse_moment("--to", end, now)
    if first >= last:
        raise ConfigError(f"--from {start} is not before --to {end}", "give a time before it")
    if correct and not yes:
        require_somebody(_LOOK_FIRST)
    from adstream.backfill.request import Listener, Request
    from adstream.backfill.windows import Recount
    from streaming.jobs import find
    from streaming.launch import absolute
    from streaming.spark.session import one_attempt, spark_session

    settings, name, what = Settings(), f"backfill-{job}", f"the backfill of {job}"
    where = absolute(checkpoint or str(settings.checkpoints / job))
    request = Request(first, last, late, None if archive is None else absolute(archive))
    out = Terminal()
    out.print(f"starting Spark for {what}")
    with (
        spark_session(settings, name, places=[where, request.archive or ""]) as spark,
        one_attempt(settings, name, what),
    ):
        with Working("comparing") as working:
            listener = Listener(out.print, lambda done, count: working("comparing", done, count))
            recount = Recount(spark, settings, find(job), where, request, now=now, listener=listener)
            found = recount.compare()
        report(found, out)
        if correct and found.differing:
            out.print(f"to be written into keyspace {settings.cassandra.keyspace} in {settings.cassandra.where}")
        if correct and found.differing and not yes:
            ask("Correct these windows?", _LOOK_FIRST)
        with Working("correcting"):
            written, left = recount.correct(lambda: datetime.now(UTC)) if correct else (0, found.comparison)
    conclude(found, written, left, out)
