"""`adstream verify JOB`: compare a job's tables with an independent computation over the raw topic."""

from pathlib import Path
from typing import Annotated

import typer

from adstream.commands import completion
from adstream.documents import AsJson
from common.errors import ConfigError
from common.settings import Settings
from common.text.nearest import did_you_mean
from common.text.terminal import Terminal


def verify(
    job: Annotated[str, typer.Argument(help="The job, for example ad-metrics.", autocompletion=completion.verified)],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The job's checkpoint. Default: <data dir>/checkpoints/JOB.")
    ] = None,
    acknowledged: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of `adstream produce ads --acknowledged`: look up its records in the topic. Repeatable."
        ),
    ] = None,
    keep_baseline: Annotated[
        bool,
        typer.Option(
            "--keep-baseline", help="If all is equal, keep a baseline, to start from after messages have aged out."
        ),
    ] = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Start from the newest baseline, even if the topic is complete.")
    ] = False,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="If messages have aged out and no baseline fits, compare the remaining windows."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute windows and totals again from the raw topic, compare them with Cassandra, cell by cell, and account for
    every offset. The job may be running.

    Exits with 1 when anything differs, is missing, or cannot be proved.

    Example: `adstream verify ad-metrics`

    Example: `adstream verify ad-metrics --keep-baseline`

    Example: `adstream verify ad-metrics --json | jq .ledger.fates`
    """
    from adstream.verify.ad_metrics import Wish
    from adstream.verify.report import report

    known = completion.verified("")
    if job not in known:
        remedy = did_you_mean(job, known, f"use `adstream verify {known[0]}`")
        raise ConfigError(f"there is nothing to verify for {job}", remedy)
    settings = Settings()
    wish = Wish(acknowledged or (), baseline, keep_baseline, partial)
    out = Terminal(stderr=as_json)
    report(settings, checkpoint or settings.checkpoints / job, out, wish, as_json=as_json)
