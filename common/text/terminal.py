"""Rich, so that a value from outside is text: no markup, no emoji codes, no highlighting, nothing a terminal obeys."""

from typing import IO, Any

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.style import Style
from rich.table import Table
from rich.text import Text

from common.text.shown import shown, shown_lines

# Lines of a file or a pipe are as wide as a table needs, up to this.
_WIDEST = 4_096
# On a terminal, a column of text is folded to this width before the table becomes too wide.
_NARROWEST = 12


class Terminal(Console):
    """A console that prints each string unchanged; colours come from `style`, or from `parts`."""

    def __init__(
        self, *, stderr: bool = False, soft_wrap: bool = True, file: IO[str] | None = None, width: int | None = None
    ) -> None:
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, file=file, width=width, markup=False, emoji=False, highlight=False
        )

    def render_str(self, text: str, *, style: str | Style = "", **options: Any) -> Text:  # noqa: ANN401 - Rich's own
        """Return Rich's text for any string, also of a cell, a heading or a title of a table."""
        return Text(shown_lines(text), style=style, justify=options.get("justify"), overflow=options.get("overflow"))


def print_whole(out: Console, table: Table) -> None:
    """Print a table and cut nothing. On a terminal too narrow for the figures, print a line for each cell, like `psql`.

    Figures are the columns with `no_wrap`. On a terminal Rich folds the other columns. A file or pipe has long lines.
    """
    unlimited = out.options.update(width=_WIDEST)
    # Two spaces between columns, and a line if the table has lines; one more line begins it.
    needed, gap = 1, 3 if table.box else 2
    for column in table.columns:
        cells = [column.header, *column.cells]
        longest = max(Measurement.get(out, unlimited, cell).maximum for cell in cells)
        if not column.no_wrap:
            column.overflow = "fold"
            longest = min(longest, _NARROWEST) if out.is_terminal else longest
        needed += longest + gap
    if out.is_terminal:
        _print_records(out, table) if needed > out.width else out.print(table, soft_wrap=False)
        return
    if table.title:  # Rich folds a title that is wider than its table
        table.min_width = max(table.min_width or 0, Measurement.get(out, unlimited, table.title).maximum)
        needed = max(needed, table.min_width)
    before = out.width
    out.width = min(max(before, needed), _WIDEST)
    try:
        out.print(table, soft_wrap=False)
    finally:
        out.width = before


def _print_records(out: Console, table: Table) -> None:
    """Print each row as a block: a line for each cell, with heading and value. The terminal wraps long values."""
    if table.title:
        out.print(table.title, soft_wrap=True)
    headings = [_text(column.header) for column in table.columns]
    aligned = max((heading.cell_len for heading in headings), default=0) + 2
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for heading, cell in zip(headings, row, strict=True):
            space = " " * (aligned - heading.cell_len)
            out.print(Text.assemble(heading, space, _text(cell)), soft_wrap=True)
        out.print()


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else plain(str(cell))


def plain(text: str, style: str = "") -> Text:
    """Return a cell or a line that holds values from outside."""
    return Text(shown(text), style=style)


def parts(*pieces: str | tuple[str, str]) -> Text:
    """Return a line in pieces, each alone or with its style."""
    return Text.assemble(*(shown(each) if isinstance(each, str) else (shown(each[0]), each[1]) for each in pieces))
