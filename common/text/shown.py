r"""Show values from outside as text: one function for every command, page, log line and label.

A key, a header or a service's error text may hold anything. A new line forges one of our lines. A terminal obeys an
escape sequence. A character without width makes two ids look the same. `shown` writes these characters as JSON and
Python do, `\n` or `\u001b`. An accent stays on its letter, and is written out without one. Everything else stays
unchanged. Text that was already shown also stays unchanged, so a caller in doubt may show it again. Only `--json` is
exact.
"""

import re
import sys

from rich.cells import get_character_cell_size

# Python calls them printable, but they are invisible: joiners, fillers, variation selectors, an empty braille cell.
_BLANK = (
    "\u034f\u2d7f\U0001107f\U00011a47\U00011a99\U00016fe4"
    "\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
)
_BLANKS = re.compile(f"[{_BLANK}]")
_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\b": r"\b", "\f": r"\f"}
# Accents and other marks that are drawn onto the character before.
_MOST_MARKS = 4


def shown(text: str) -> str:
    """Return the text on one line, with control characters and invisible characters written out."""
    if text.isascii() and text.isprintable():
        return text
    made, marks = [], _MOST_MARKS  # no character before it that could carry the mark
    for char in text:
        seen = char.isprintable() and not _BLANKS.match(char)
        if seen and get_character_cell_size(char) == 0:
            marks += 1
            seen = marks <= _MOST_MARKS
        else:
            marks = 0 if seen and char != " " else _MOST_MARKS
        made.append(char if seen else _written_out(char))
    return "".join(made)


def shown_lines(text: str) -> str:
    """Do the same as `shown` for a text of ours with several lines."""
    return "\n".join(map(shown, text.split("\n")))


def say(line: str, *, err: bool = False) -> None:
    """Write one line to standard output, or to standard error."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{shown(line)}\n")
    stream.flush()


def _written_out(char: str) -> str:
    code = ord(char)
    return _SHORT.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
