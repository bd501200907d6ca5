"""The results' place in docs/performance.md: each benchmark replaces the part between its own marks."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median and range."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return f"{median:,.{digits}f} ({ordered[0]:,.{digits}f}-{ordered[-1]:,.{digits}f})"


def write(name: str, intro: Sequence[str], head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Replace the part `name` of the page; the rest is written by hand."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    table = [
        *intro,
        "",
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not found:
        raise AssertionError(f"docs/performance.md has no part {name}")
    PAGE.write_text(f"{before}{begin}\n{chr(10).join(table)}\n{end}{after}", encoding="utf-8")
