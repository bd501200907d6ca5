"""Writes results into pages: each benchmark replaces the part between its own marks.

The page is docs/performance.md unless a benchmark names another. The single runs go to docs/results/NAME.json, the plot
to docs/images/NAME.png. The environment variable BENCH_DOCS names another folder with such pages.
"""

import json
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.machine import conditions as conditions

DOCS = Path(os.environ.get("BENCH_DOCS") or Path(__file__).parents[1] / "docs")
PAGE_NAME = "performance.md"
PAGE = DOCS / PAGE_NAME


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Format median and range."""
    low, median, high = min(values), statistics.median(values), max(values)
    return f"{median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def plot(name: str, shows: str, draw: Callable[[Figure], None], *, height: float = 3.5) -> str:
    """Draw docs/images/NAME.png. Return the Markdown line that shows it."""
    figure = Figure(figsize=(8.0, height), dpi=120, layout="constrained")
    draw(figure)
    file = DOCS / "images" / f"{name}.png"
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, metadata={"Software": None})
    return f"![{shows}](images/{file.name})"


def write(
    name: str,
    intro: Sequence[str],
    head: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    picture: str = "",
    in_page: str = PAGE_NAME,
    runs: Any = None,  # noqa: ANN401 - anything that JSON can hold
) -> None:
    """Print the table, and replace the part `name` of a page by it.

    Keeps `runs` as JSON, for a later analysis.
    """
    console = Console(highlight=False, width=None if os.isatty(1) else 160)
    table = Table(*head)
    for column in table.columns[1:]:
        column.justify = "right"
    for line in lines:
        table.add_row(*line)
    console.print(*intro, sep="\n", markup=False)
    console.print(table)
    file = PAGE.with_name(in_page)
    replace_part(file, name, [*intro, "", *([picture, ""] if picture else ()), *markdown(head, lines)])
    if runs is not None:
        kept = DOCS / "results" / f"{name}.json"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps({"conditions": conditions(), "runs": runs}) + "\n", encoding="utf-8")
    console.print(f"written to {file}", soft_wrap=True)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown whose first column is text. The others are numbers."""
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
        *(f"| {' | '.join(each)} |" for each in lines),
    ]


def replace_part(file: Path, name: str, part: Sequence[str]) -> None:
    """Put these lines between the marks `name` of a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = file.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not found:
        raise AssertionError(f"{file.name} has no part {name}")
    file.write_text(f"{before}{begin}\n{chr(10).join(part)}\n{end}{after}", encoding="utf-8")
