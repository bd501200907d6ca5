"""Measures the time from sending an event until its row is readable in Cassandra: `python -m benchmarks.latency`.

Compares micro-batches, real time and Flink SQL on the same work. `--before FOLDER` adds the micro-batches of an older
build. `--part most`, `--part restarts` and `--part pauses` measure real time alone. Runs against the stack of the
settings (`adstream up`), with topics and a keyspace of its own.
"""

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.freshness import compared, most, pauses, restarts
from benchmarks.freshness.contestants import described
from benchmarks.pipeline import command, own_pipeline

RATES = (1_000, 5_000)


class Part(StrEnum):
    """The parts of the measurement."""

    COMPARED = "compared"
    MOST = "most"
    RESTARTS = "restarts"
    PAUSES = "pauses"


def main(
    part: Annotated[list[Part], typer.Option(help="What to measure; may be repeated.")] = [Part.COMPARED],  # noqa: B006
    before: Annotated[
        Path | None, typer.Option(help="Checkout of an older build, with a .venv: its micro-batches take part.")
    ] = None,
    only: Annotated[
        list[str], typer.Option(help="Part of the name of a contestant, or of a setting of pauses; may be repeated.")
    ] = [],  # noqa: B006
    rate: Annotated[
        list[int], typer.Option(min=1, help="Events a second; may be repeated. Each part has its own, else.")
    ] = [],  # noqa: B006
    seconds: Annotated[float | None, typer.Option(min=1, help="Measured per line; else 300, and 40 of most.")] = None,
    warm: Annotated[float, typer.Option(min=0, help="Seconds of the same load before, uncounted.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured at each rate.")] = 1,
    minutes: Annotated[
        list[float], typer.Option(min=0.1, help="Length of a batch before a restart; may be repeated.")
    ] = list(restarts.MINUTES),  # noqa: B006
    length: Annotated[
        list[int], typer.Option(min=5, help="Seconds of a real-time batch, of pauses; may be repeated.")
    ] = list(pauses.LENGTHS),  # noqa: B006
    tried: Annotated[bool, typer.Option(help="Try settings, too, after the lengths of pauses.")] = True,
) -> None:
    """Measure, print a line per run, and write the results after each."""
    # SIGTERM must end the started processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    taking_part = compared.chosen(only, before) if Part.COMPARED in part else []
    notes = [f"The build before is {described(before)}."] if before else []
    settings = own_pipeline()
    if Part.COMPARED in part:
        compared.run(settings, taking_part, rate or RATES, warm, seconds or 300.0, rounds, notes)
    if Part.MOST in part:
        most.run(settings, rate or most.RATES, warm, seconds or 40.0)
    if Part.RESTARTS in part:
        restarts.run(settings, minutes, rate or RATES)
    if Part.PAUSES in part:
        pauses.run(settings, length, only, rate[-1] if rate else RATES[-1], warm, tried)


if __name__ == "__main__":
    command(main)
