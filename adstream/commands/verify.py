"""`adstream verify JOB`: compare a job's tables with an independent computation over the raw topic."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from adstream.errors import ConfigError, Mismatch
from adstream.settings import Settings


def verify(
    job: Annotated[str, typer.Argument(help="The job; today ad-metrics.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The job's checkpoint; else <data dir>/checkpoints/JOB.")
    ] = None,
) -> None:
    """Compute windows and totals again from the raw topic and compare them with Cassandra, cell by cell.

    Exits with 1 when anything differs. Example: `adstream verify ad-metrics`
    """
    if job != "ad-metrics":
        raise ConfigError(f"there is nothing to verify for {job}", "use `adstream verify ad-metrics`")
    settings = Settings()
    report(settings, checkpoint or settings.checkpoints / job, Console(highlight=False, soft_wrap=True))


def report(settings: Settings, checkpoint: Path, out: Console) -> None:
    """Verify and print what was found. Raises Mismatch where the tables differ."""
    from adstream.verify.ad_metrics import verify as run

    with Progress(console=out, transient=True) as bar:
        task = bar.add_task("reading the raw topic", total=None)
        found = run(
            settings,
            checkpoint,
            now=datetime.now(UTC),
            progress=lambda done, count: bar.update(task, completed=done, total=count),
        )
    netted = f" (of which {found.backfilled:,} counted by a backfill)" if found.backfilled else ""
    fates = ", ".join(f"{count:,} {fate}{netted if fate == 'late' else ''}" for fate, count in found.fates.items())
    out.print(f"{found.messages:,} messages in the topic: {fates}")
    result = found.comparison
    if result.different:
        for line in result.differences:
            out.print(f"  {line}", markup=False)
        raise Mismatch(
            f"{result.different:,} of {result.cells:,} cells differ from the independent computation",
            "if a job is writing right now, verify again when it rests",
        )
    out.print(
        f"[green]equal[/green]: {result.rows:,} rows, {result.cells:,} cells agree with the independent computation"
    )
