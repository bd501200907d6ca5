"""Rich, so that a value from outside is text: no markup, no emoji codes, no highlighting, nothing a terminal obeys."""

from typing import IO, Any

from rich.console import Console
from rich.measure import Measurement
from rich.style import Style
from rich.table import Table
from rich.text import Text

from common.text.shown import shown, shown_lines

# Lines of a file or a pipe are as wide as a table needs, up to this.
_WIDEST = 4_096
# A column of text is folded to no less, as long as the figures beside it fit.
_NARROWEST = 12
# Between two columns, with a line; one more line begins the table.
_GAP = 3


class Terminal(Console):
    """A console that shows each string as it is; colours come by `style`, or with `parts`."""

    def __init__(
        self, *, stderr: bool = False, soft_wrap: bool = True, file: IO[str] | None = None, width: int | None = None
    ) -> None:
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, file=file, width=width, markup=False, emoji=False, highlight=False
        )

    def render_str(self, text: str, *, style: str | Style = "", **options: Any) -> Text:  # noqa: ANN401 - Rich's own
        """What Rich makes of any string: also of a cell, a heading or a title of a table."""
        return Text(shown_lines(text), style=style, justify=options.get("justify"), overflow=options.get("overflow"))


def print_whole(out: Console, table: Table) -> None:
    """Print a table and cut nothing: where lines are too short for it, text is folded, and figures stay whole.

    Figures are the columns that are not wrapped.
    """
    unlimited = out.options.update(width=_WIDEST)
    needed = 1
    for column in table.columns:
        cells = [column.header, *column.cells]
        longest = max(Measurement.get(out, unlimited, cell).maximum for cell in cells)
        if not column.no_wrap:
            column.overflow = "fold"
            longest = min(longest, _NARROWEST) if out.is_terminal else longest
        needed += longest + _GAP
    if table.title:  # Rich folds a title that is wider than its table
        table.min_width = max(table.min_width or 0, Measurement.get(out, unlimited, table.title).maximum)
        needed = max(needed, table.min_width)
    before = out.width
    out.width = min(max(before, needed), _WIDEST)
    try:
        out.print(table, soft_wrap=False)
    finally:
        out.width = before


def plain(text: str, style: str = "") -> Text:
    """A cell or a line that holds values from outside."""
    return Text(shown(text), style=style)


def parts(*pieces: str | tuple[str, str]) -> Text:
    """A line in pieces, each alone or with its style."""
    return Text.assemble(*(shown(each) if isinstance(each, str) else (shown(each[0]), each[1]) for each in pieces))
