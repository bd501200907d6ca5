"""The runs of the fault campaign: docs/results/faults.json, and the table of docs/guarantees.md that comes from it.

A line of the file is a run. `kind` is the test without its seed; `faults`, `offsets`, `unexplained`, `cells` and
`rows_different` are the test's account (tests/faults/account.py), null where a run failed before it could tell them.
`seconds_to_recover` is the slowest of its faults, and `seconds` the time of the whole run.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import markdown, replace_part

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results" / "faults.json"
PAGE = ROOT / "docs" / "guarantees.md"
PART = "faults"
HEAD = ("kind", "runs", "failed", "slowest recovery")

Run = Mapping[str, Any]


def read(results: Path) -> list[Run]:
    """The runs so far, oldest first; none where there is no file."""
    if not results.exists():
        return []
    runs: list[Run] = json.loads(results.read_text(encoding="utf-8"))["runs"]
    return runs


def append(results: Path, run: Run) -> list[Run]:
    """Add a run and return all. A reader, and a crash at any time, finds the old file or the new one."""
    runs = [*read(results), run]
    write(results, "runs", runs)
    return runs


def write(results: Path, name: str, entries: Sequence[Run]) -> None:
    """Write a file with one list, an entry a line, in one step."""
    beside = results.with_name(f".{results.name}.new")
    with beside.open("w", encoding="utf-8") as new:
        lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in entries)
        new.write(f'{{"{name}": [\n{lines}\n]}}\n')
        new.flush()
        os.fsync(new.fileno())
    beside.replace(results)


def next_run(kinds: Sequence[str], runs: Sequence[Run]) -> tuple[str, int]:
    """The kind with the fewest runs, the first of several; and the seed after its highest, so that none comes twice."""
    seeds = {kind: [run["seed"] for run in runs if run["kind"] == kind] for kind in kinds}
    kind = min(kinds, key=lambda each: len(seeds[each]))
    return kind, max(seeds[kind], default=0) + 1


def part(runs: Sequence[Run]) -> list[str]:
    """The lines of the page: a sentence, and a table with a line per kind."""
    failed = sum(run["outcome"] != "passed" for run in runs)
    if not runs:
        return ["There are no runs yet."]
    count = f"{len(runs):,} runs" if len(runs) > 1 else "1 run"
    found = [_line(kind, [run for run in runs if run["kind"] == kind]) for kind in sorted({r["kind"] for r in runs})]
    return [f"{count}, {failed} failed.", "", *markdown(HEAD, found)]


def _line(kind: str, runs: Sequence[Run]) -> tuple[str, ...]:
    failed = sum(run["outcome"] != "passed" for run in runs)
    times = [run["seconds_to_recover"] for run in runs if run["seconds_to_recover"] is not None]
    return f"`{kind}`", f"{len(runs):,}", f"{failed:,}", f"{max(times):,.1f} s" if times else "none"


def show(page: Path, runs: Sequence[Run]) -> None:
    """Write the table into its part of the page."""
    replace_part(page, PART, part(runs))
