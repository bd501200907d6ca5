"""What became of each fault: docs/results/mutants.json, and the table of docs/guarantees.md that comes from it.

A line of the file is a fault, as the catalogue has it, with its last run: `caught`, `seconds` (the whole run of
pytest), `failure` (the test's own error, or why the run counts for nothing) and `date`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.page import replace_part
from tests.faults.record import write
from tests.mutants.fault import Fault

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results" / "mutants.json"
PAGE = ROOT / "docs" / "guarantees.md"
PART = "mutants"

Result = Mapping[str, Any]


def read(results: Path) -> dict[str, Result]:
    """Return the last run of each fault, by the fault's name; none where there is no file."""
    if not results.exists():
        return {}
    found: list[Result] = json.loads(results.read_text(encoding="utf-8"))["faults"]
    return {each["name"]: each for each in found}


def keep(results: Path, catalogue: Sequence[Fault], found: Mapping[str, Result]) -> None:
    """Write these runs in the order of the catalogue. Leaves out runs of faults that have changed since."""
    write(results, "faults", [found[fault.name] for fault in catalogue if current(fault, found)])


def current(fault: Fault, found: Mapping[str, Result]) -> bool:
    """Return whether the fault's last run is of this very fault."""
    run = found.get(fault.name)
    return run is not None and all(run[name] == value for name, value in asdict(fault).items())


def part(results: Sequence[Result]) -> list[str]:
    """Return the lines of the page: a sentence, and a table with a line per fault."""
    missed = sum(not each["caught"] for each in results)
    head = ["| fault | what goes wrong | caught by |", "|---|---|---|"]
    return [f"{len(results):,} faults, {missed} not caught.", "", *head, *map(_line, results)]


def _line(result: Result) -> str:
    caught = f"`{result['test']}`" if result["caught"] else "**nothing**"
    return f"| `{result['file']}`: {result['name']} | {result['harm']} | {caught} |"


def show(page: Path, results: Mapping[str, Result]) -> None:
    """Write the table into its part of the page."""
    replace_part(page, PART, part(list(results.values())))
