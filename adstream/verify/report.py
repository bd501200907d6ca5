"""Print the result of `adstream verify`: the ledger, the parts that it did not check, and the differences."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from adstream.documents import print_document
from adstream.verify import ad_metrics
from adstream.verify.ad_metrics import Verified, Wish
from adstream.verify.ledger import Ledger
from common.errors import Mismatch
from common.settings import Settings
from common.text.progress_line import Working
from common.text.terminal import parts, plain, print_whole


def report(
    settings: Settings, checkpoint: Path, out: Console, wish: Wish | None = None, *, as_json: bool = False
) -> None:
    """Verify and print the result. With `as_json` the result goes to standard output and not to `out`.

    Raises Mismatch if anything differs or is missing.
    """
    with Working("reading the topic") as working:
        found = ad_metrics.verify(settings, checkpoint, wish, progress=working)
    if as_json:
        print_document(_document(found, settings.topic.ads))
    else:
        _print_ledger(found.ledger, settings.topic.ads, out)
        _print_notes(found, out)
        for line in _lines(found):
            out.print(plain(f"  {line}"))
    if problems := _problems(found):
        raise Mismatch("; ".join(problems), "see docs/verify.md for what each of them means")
    if not as_json:
        _print_equal(found, out)


def _document(found: Verified, topic: str) -> dict[str, Any]:
    result, ledger = found.comparison, found.ledger
    partitions = [
        {
            "partition": line.partition,
            "from": line.begin,
            "to": line.end,
            "offsets": line.end - line.begin,
            "fates": line.all_fates,
            "unexplained": line.unexplained,
        }
        for line in ledger.lines
    ]
    return {
        "equal": found.equal,
        "problems": _problems(found),
        "lines": _lines(found),
        "rows": result.rows,
        "cells": result.cells,
        "rows_moving": result.moving,
        "rows_different": result.different,
        "ledger": {
            "topic": topic,
            "offsets": ledger.offsets,
            "fates": ledger.all_fates,
            "unexplained": ledger.unexplained,
            "letters_aged_out": ledger.letters_aged_out,
            "partitions": partitions,
        },
        "acknowledged": _acknowledged(found),
        "late_counted_by_a_backfill": found.backfilled,
        "not_proved": found.unproved or None,
        "clock": found.clock or None,
        "since_baseline_of": found.since.made if found.since else None,
        "baseline_kept": str(found.kept.path) if found.kept else None,
    }


def _acknowledged(found: Verified) -> dict[str, int] | None:
    places = found.acknowledged
    if places is None:
        return None
    return {"places": places.places, "aged_out": places.aged_out, "missing": places.missing}


def _print_ledger(ledger: Ledger, topic: str, out: Console) -> None:
    names = [name.replace("_", " ") for name in ledger.all_fates]
    heads = "partition", "from", "to", "=", *names, "unexplained"
    grid = Table(*heads, box=SIMPLE_HEAD, padding=(0, 1))
    for column in grid.columns:
        column.justify, column.no_wrap = ("left" if column is grid.columns[0] else "right"), True
    for line in ledger.lines:
        ends = f"{line.begin:,}", f"{line.end:,}", f"{line.end - line.begin:,}"
        fates = [f"{count:,}" for count in line.all_fates.values()]
        grid.add_row(plain(f"{topic}/{line.partition}"), *ends, *fates, f"{line.unexplained:,}")
    grid.add_section()
    fates = [f"{count:,}" for count in ledger.all_fates.values()]
    grid.add_row("all", "", "", f"{ledger.offsets:,}", *fates, f"{ledger.unexplained:,}")
    print_whole(out, grid)


def _print_notes(found: Verified, out: Console) -> None:
    if found.clock:
        out.print(plain(found.clock, "yellow"))
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
        out.print(parts(("not proved", "yellow"), f", as messages have aged out: {found.unproved}"))


def _problems(found: Verified) -> list[str]:
    result, ledger = found.comparison, found.ledger
    problems = []
    if result.different:
        problems.append(f"{result.different:,} of {result.rows:,} rows differ from the independent computation")
    if ledger.unexplained:
        problems.append(f"{ledger.unexplained:,} offsets are unexplained")
    if found.acknowledged and found.acknowledged.missing:
        problems.append(f"{found.acknowledged.missing:,} acknowledged messages are not in the topic")
    return problems


def _lines(found: Verified) -> list[str]:
    """Return the first lines about everything that is wrong."""
    lost = found.acknowledged.lines if found.acknowledged else []
    return [*found.comparison.differences, *found.ledger.puzzles, *lost]


def _print_equal(found: Verified, out: Console) -> None:
    result = found.comparison
    agree = f"{result.rows:,} rows, {result.cells:,} cells agree with the independent computation"
    if result.moving:
        agree += f"; {result.moving:,} of the rows moved meanwhile, and had a value of one of the batches"
    out.print(parts(("equal", "green"), f": {agree}"))
    if found.kept:
        out.print(plain(f"baseline kept: {found.kept.path}"))
