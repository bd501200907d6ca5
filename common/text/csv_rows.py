"""Read the rows of a CSV by the names in its header; all readers of CSV use this one.

A name may come in any place and in any case. A cell is text without the spaces and tabs around it. Line breaks in
quotes belong to the cell, and a row has the number of its first line.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import BadInput
from common.text.text_input import TextInput

if TYPE_CHECKING:
    import _csv

_BLANKS = " \t"
_LONGEST = 60
_LIKELY = {";": "';'", "\t": "tab", "|": "'|'"}


@dataclass(frozen=True)
class Form:
    """The form of a file: the separator between two cells, and whether unknown columns are ignored."""

    delimiter: str = ","
    ignore_extra: bool = False


@dataclass(frozen=True)
class BadRow:
    """An invalid row: its first line in the file (the header is line 1) and the problem."""

    line: int
    reason: str


@dataclass(frozen=True)
class Row:
    """The cells of the wanted columns, by name."""

    line: int
    cells: dict[str, str]


@contextmanager
def rows(text: TextInput, columns: Sequence[str], form: Form | None = None) -> Iterator[Iterator[Row | BadRow]]:
    """Read the rows of a CSV while the block runs. `form` holds the options; None means commas, and only `columns`.

    Raises BadInput if the header lacks a column, and while reading if a quote has no end. At the end of the block
    nothing of the text is open, also after an error in it.
    """
    given = form or Form()
    with closing(text.lines()) as lines:
        reader = csv.reader(lines, delimiter=given.delimiter, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise _no_header(text, columns, str(error)) from None
        names = [name.strip(_BLANKS).lower() for name in header]
        if problem := _header_problem(names, columns, ignore_extra=given.ignore_extra):
            raise _no_header(text, columns, *_hint(header, problem, form))
        yield _rows(text, reader, {name: names.index(name.lower()) for name in columns}, len(names))


def _rows(text: TextInput, reader: "_csv._reader", places: Mapping[str, int], width: int) -> Iterator[Row | BadRow]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > line or "unexpected end" in str(error):
                # Skipping it would also skip all the lines that the quote swallowed.
                problem = f"{text.path} line {line}: a quote is opened, and nothing closes it as it must"
                raise BadInput(problem, "close it, or write a quote in quotes twice") from None
            yield BadRow(line, str(error))
            continue
        if not cells:
            continue  # a blank line, as editors leave at the end
        if len(cells) != width:
            lines = f", in lines {line} to {reader.line_num}" if reader.line_num > line else ""
            yield BadRow(line, f"{len(cells)} columns instead of {width}{lines}")
        else:
            yield Row(line, {name: cells[place].strip(_BLANKS) for name, place in places.items()})


def _header_problem(names: list[str], columns: Sequence[str], *, ignore_extra: bool) -> str:
    wanted = [name.lower() for name in columns]
    for name in wanted:
        if names.count(name) != 1:
            return f"{name} is {'there twice' if name in names else 'missing'}"
    extra = [name for name in names if name not in wanted]
    return "" if ignore_extra or not extra else f"{extra[0][:_LONGEST]!r} is no column of it"


def _hint(header: list[str], problem: str, form: Form | None) -> tuple[str, str]:
    """Return the problem, with a hint if the header shows one."""
    if header and header[0].lower().startswith("sep="):
        return "it is Excel's line about its separator", "delete that line; the header is the next one"
    other = next((each for each in _LIKELY if len(header) == 1 and each in header[0]), None)
    if other is not None and (form is None or other != form.delimiter):
        named = _LIKELY[other]
        return f"it has {named} between its columns", f"give --delimiter {named}" if form else "save it with commas"
    if any("\0" in name for name in header):
        return "it has NUL characters, as UTF-16 without a byte order mark", "save it as UTF-8"
    if form and "is no column" in problem:
        return problem, "leave it out, or give --extra-columns ignore"
    return problem, "add or correct it"


def _no_header(text: TextInput, columns: Sequence[str], problem: str, remedy: str = "add or correct it") -> BadInput:
    return BadInput(f"{text.path} line 1 is not the header {','.join(columns)}: {problem}", remedy)
