"""`adstream backfill JOB` and `adstream archive TOPIC FOLDER`: compute closed windows again, and archive messages."""

from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.commands import completion
from adstream.commands.asking import ask, require_somebody
from common.errors import ConfigError, Mismatch
from common.settings import Settings
from common.text.moments import parse_moment
from common.text.nearest import did_you_mean
from common.text.progress_line import Working
from common.text.terminal import Terminal, parts

if TYPE_CHECKING:
    from adstream.backfill.request import Found
    from adstream.verify.tables import Comparison

_SHOWN = 10
_LOOK_FIRST = "add --yes, or leave --correct out to look first"


def backfill(
    job: Annotated[str, typer.Argument(help="The job; today ad-metrics.", autocompletion=completion.verified)],
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
    if job != "ad-metrics":
        remedy = did_you_mean(job, ["ad-metrics"], "use `adstream backfill ad-metrics`")
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
    from streaming.spark.session import spark_session

    settings = Settings()
    where = absolute(checkpoint or str(settings.checkpoints / job))
    request = Request(first, last, late, None if archive is None else absolute(archive))
    out = Terminal()
    out.print(f"starting Spark for the backfill of {job}")
    with spark_session(settings, f"backfill-{job}", places=[where, request.archive or ""]) as spark:
        with Working("comparing") as working:
            listener = Listener(out.print, lambda done, count: working("comparing", done, count))
            recount = Recount(spark, settings, find(job), where, request, now=now, listener=listener)
            found = recount.compare()
        _report(found, out)
        if correct and found.differing:
            out.print(f"to be written into keyspace {settings.cassandra.keyspace} in {settings.cassandra.where}")
        if correct and found.differing and not yes:
            ask("Correct these windows?", _LOOK_FIRST)
        with Working("correcting"):
            written, left = recount.correct(lambda: datetime.now(UTC)) if correct else (0, found.comparison)
    _conclude(found, written, left, out)


def archive(
    topic: Annotated[str, typer.Argument(help="The topic whose messages to keep.", autocompletion=completion.topics)],
    folder: Annotated[str, typer.Argument(help="Where: one folder per day of broker time, as Parquet.")],
) -> None:
    """Append a topic's messages unchanged to an archive, from its end; a second run adds nothing twice.

    Example: `adstream archive ads_data archives/ads_data`
    """
    from common.kafka import require_topic
    from streaming.history.archive import Archive
    from streaming.launch import absolute
    from streaming.spark.session import spark_session

    settings = Settings()
    require_topic(settings, topic)
    out = Terminal()
    out.print(f"starting Spark for the archive of {topic}")
    place = absolute(folder)
    with spark_session(settings, f"archive-{topic}", places=[place]) as spark, Working(f"archiving {topic}"):
        done = Archive(spark, place).extend(settings, topic, out.print)
    out.print(f"{done.written:,} messages added to {folder}, which holds {done.before + done.written:,} now")


def _report(found: "Found", out: Terminal) -> None:
    result = found.comparison
    out.print(f"windows that begin from {found.start:%Y-%m-%dT%H:%M:%SZ} to before {found.end:%Y-%m-%dT%H:%M:%SZ}")
    if found.open:
        out.print(f"{found.open:,} later ones are left out: they are open still, and the job writes them")
    out.print(f"{found.messages:,} offsets read, {found.events:,} events count: {result.rows:,} rows compared")
    for line in result.differences:
        out.print(f"  {line}")
    if result.different:
        out.print(f"{result.different:,} differences in all")
    _report_late(found, out)


def _report_late(found: "Found", out: Terminal) -> None:
    if not found.late:
        return
    out.print("late events that these windows count and the totals do not:")
    ranked = sorted(found.late.items(), key=lambda each: (-each[1].events, each[0]))
    in_all = ("in all", reduce(add, found.late.values()))
    for name, sums in [*ranked[:_SHOWN], in_all]:
        said = f"{sums.events:,} events, {sums.clicks:,} clicks, {sums.views:,} views, cost {sums.cost:f}"
        out.print(f"  {name}: {said}")
    minutes = int(found.delay.total_seconds() // 60) + 1
    out.print(
        f"to have them in the totals, rebuild these: `adstream reset ad-metrics`, then `adstream stream ad-metrics"
        f" --lateness {minutes}m`"
    )


def _conclude(found: "Found", written: int, left: "Comparison", out: Terminal) -> None:
    """Print the last line. Raises Mismatch if windows differ, or still differ."""
    rows = f"{found.comparison.rows:,} rows"
    if left is found.comparison and left.different:
        raise Mismatch(f"{left.different:,} differences in {rows}", "write the computed rows with --correct")
    if left.different:
        for line in left.differences:
            out.print(f"  {line}")
        raise Mismatch(
            f"{written:,} rows were written, and {left.different:,} differences stay",
            "a correction neither deletes rows nor empties cells: do that by cqlsh",
        )
    if written:
        out.print(parts(("corrected", "green"), f": {written:,} of {rows} written, and all agree now"))
    else:
        agree = f"{rows}, {found.comparison.cells:,} cells agree with what was computed again"
        out.print(parts(("equal", "green"), f": {agree}"))
