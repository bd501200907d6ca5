"""The output of `adstream backfill`: how closed windows differ from the table, and the result of a correction."""

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from common.errors import Mismatch
from common.text.terminal import Terminal, parts

if TYPE_CHECKING:
    from adstream.backfill.request import Found
    from adstream.verify.tables import Comparison

_SHOWN = 10


def report(found: "Found", out: Terminal) -> None:
    """Print how the table differs from the computed windows, and what late events would add to the totals."""
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


def conclude(found: "Found", written: int, left: "Comparison", out: Terminal) -> None:
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
