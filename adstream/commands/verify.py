"""`adstream verify JOB`: compare a job's tables with an independent computation over the raw topic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from adstream.errors import ConfigError, Mismatch
from adstream.nearest import did_you_mean
from adstream.settings import Settings

# The ledger is not folded, also where no terminal says how wide it is.
_WIDTH = 120

if TYPE_CHECKING:
    from adstream.verify.ad_metrics import Verified, Wish
    from adstream.verify.ledger import Ledger


def verify(
    job: Annotated[str, typer.Argument(help="The job; today ad-metrics.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The job's checkpoint; else <data dir>/checkpoints/JOB.")
    ] = None,
    acknowledged: Annotated[
        list[Path] | None,
        typer.Option(help="What `adstream produce ads --acknowledged` wrote: look it up in the topic. Repeatable."),
    ] = None,
    keep_baseline: Annotated[
        bool,
        typer.Option("--keep-baseline", help="When all is equal, keep it, to start from when messages have aged out."),
    ] = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Start from the newest kept baseline, also while the topic has it all.")
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Where messages have aged out and no baseline fits, compare what can be."),
    ] = False,
) -> None:
    """Compute windows and totals again from the raw topic, compare them with Cassandra, cell by cell, and account for
    every offset. The job may be running.

    Exits with 1 when anything differs, is missing, or cannot be proved.

    Example: `adstream verify ad-metrics`

    Example: `adstream verify ad-metrics --keep-baseline`
    """
    from adstream.verify.ad_metrics import Wish

    if job != "ad-metrics":
        remedy = did_you_mean(job, ["ad-metrics"], "use `adstream verify ad-metrics`")
        raise ConfigError(f"there is nothing to verify for {job}", remedy)
    settings = Settings()
    wish = Wish(acknowledged or (), baseline, keep_baseline, partial)
    report(settings, checkpoint or settings.checkpoints / job, Console(highlight=False, soft_wrap=True), wish)


def report(settings: Settings, checkpoint: Path, out: Console, wish: "Wish | None" = None) -> None:
    """Verify and print what was found. Raises Mismatch where anything differs or is missing."""
    from adstream.verify.ad_metrics import verify as run

    with Progress(console=out, transient=True) as bar:
        task = bar.add_task("reading the topic", total=None)
        found = run(
            settings,
            checkpoint,
            wish,
            progress=lambda what, done, count: bar.update(task, description=what, completed=done, total=count or None),
        )
    _print_ledger(found.ledger, settings.topic.ads, out)
    _print_notes(found, out)
    _judge(found, out)


def _print_ledger(ledger: "Ledger", topic: str, out: Console) -> None:
    names = list(ledger.fates)
    grid = Table("partition", "from", "to", "=", *names, "unexplained", box=SIMPLE_HEAD, padding=(0, 1))
    for column in grid.columns:
        column.justify, column.no_wrap = ("left" if column is grid.columns[0] else "right"), True
    for line in ledger.lines:
        ends = f"{line.begin:,}", f"{line.end:,}", f"{line.end - line.begin:,}"
        fates = [f"{line.fates[name]:,}" for name in names]
        grid.add_row(f"{topic}/{line.partition}", *ends, *fates, f"{line.unexplained:,}")
    grid.add_section()
    fates = [f"{count:,}" for count in ledger.fates.values()]
    grid.add_row("all", "", "", f"{ledger.offsets:,}", *fates, f"{ledger.unexplained:,}")
    Console(file=out.file, width=max(out.width, _WIDTH)).print(grid)


def _print_notes(found: "Verified", out: Console) -> None:
    if found.since:
        out.print(f"messages before the baseline of {found.since.made:%Y-%m-%d %H:%M:%S} UTC are taken from it")
    if found.ledger.letters_aged_out:
        out.print(f"{found.ledger.letters_aged_out:,} of the dead letters may have aged out, and were not looked for")
    if found.backfilled:
        out.print(f"{found.backfilled:,} of the late ones were counted in their windows by a backfill")
    if found.acknowledged:
        places = found.acknowledged
        there = places.places - places.aged_out - places.missing
        out.print(f"{places.places:,} acknowledged: {there:,} in the topic, {places.aged_out:,} aged out")
    if found.unproved:
        out.print(f"[yellow]not proved[/yellow], as messages have aged out: {found.unproved}")


def _judge(found: "Verified", out: Console) -> None:
    result, ledger = found.comparison, found.ledger
    problems = []
    if result.different:
        problems.append(f"{result.different:,} of {result.rows:,} rows differ from the independent computation")
    if ledger.unexplained:
        problems.append(f"{ledger.unexplained:,} offsets are unexplained")
    if found.acknowledged and found.acknowledged.missing:
        problems.append(f"{found.acknowledged.missing:,} acknowledged messages are not in the topic")
    lost = found.acknowledged.lines if found.acknowledged else []
    for line in (*result.differences, *ledger.puzzles, *lost):
        out.print(f"  {line}", markup=False)
    if problems:
        raise Mismatch("; ".join(problems), "see docs/verify.md for what each of them means")
    agree = f"{result.rows:,} rows, {result.cells:,} cells agree with the independent computation"
    if result.moving:
        agree += f"; {result.moving:,} of the rows moved meanwhile, and had a value of one of the batches"
    out.print(f"[green]equal[/green]: {agree}")
    if found.kept:
        out.print(f"baseline kept: {found.kept.path}")
