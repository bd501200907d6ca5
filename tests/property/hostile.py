"""Texts that a view may interpret: markup, short codes, links, and control or invisible characters.

A view must show each as text. A seed determines the texts, and a test prints it.
"""

import unicodedata
from functools import cache
from random import Random

from common.text.shown import shown

# Texts that our views' libraries would interpret.
MARKUP = (
    "[/x]", "[bold]ad[/bold]", "[red]", "[link=https://example.org]ad[/link]", "[", "]", "\\[b]", "[@click=f()]",
    ":smile:", ":+1:", ":100:", ":material/home:", ":streamlit:", ":red[ad]", ":blue-background[ad]",
    ":color[ad]{foreground=red}", "**ad**", "_ad_", "`ad`", "``ad`", "# ad", "1. ad", "- ad", "> ad", "| a | b |",
    "~~ad~~", "$x^2$", "$$x$$", "<b>ad</b>", "<!-- ad -->", "&amp;", "![ad](https://example.org/ad.png)",
    "[ad](https://example.org)", "<https://example.org>", "https://example.org/ad", "www.example.org",
    "ad@example.org", "a -> b", "--", "->", ">=", "~=", "%s", "{0}", "{ad}", "$HOME", "''", '"', "'", "\\", "\\u001b",
    "ad;#quot;", '"]', "end", 'a",b', "a\\nb",
)  # fmt: skip
# Characters that control a terminal, a line or a layout, and invisible ones.
SIGNS = (
    "\x00", "\x07", "\b", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1b", "\x1b[31m", "\x1b[2J", "\x1b[1A",
    "\x1b]0;ad\x07", "\x1b]8;;https://example.org\x1b\\", "\x1c", "\x1f", "\x7f", "\x80", "\x85", "\x9b31m",
    "\x9d0;ad\x9c", "\xa0", "\xad", "\u034f", "\u061c", "\u115f", "\u1160", "\u180e", "\u2000", "\u200b", "\u200c",
    "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u202f",
    "\u205f", "\u2060", "\u2066", "\u2067", "\u2068", "\u2069", "\u206a", "\u2800", "\u3000", "\u3164", "\ufe0f",
    "\ufeff", "\uffa0", "\ufff9", "\uffff", "\ue000", "\ud800", "\U0001d173", "\U000e0001", "\U000e0041",
    "\U000e0100", "\U0010ffff",
)  # fmt: skip
WIDE = ("广告", "広告", "👩‍👩‍👧", "🇨🇭", "é", "e\u0301", "שלום", "مرحبا", "x" * 70)


def hostile(seed: int, count: int = 40) -> list[str]:
    """Return `count` distinct texts of up to some hundred characters, none of them empty."""
    rng = Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        pieces = [_piece(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        found["".join(pieces)] = None
    return list(found)


def _piece(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.2:
        plane = rng.choice([0, 0, 0, 1, 2, 14, 16]) << 16
        return chr(plane + rng.randrange(2**16))
    if kind < 0.3:
        return chr(rng.randrange(0x100))
    return rng.choice(rng.choice([MARKUP, MARKUP, SIGNS, WIDE, ("ad", "ad ", " ad", "广")]))


def harmless(output: str) -> None:
    """Check that every line has visible characters only."""
    for line in output.splitlines(keepends=True):
        line = line.removesuffix("\n")
        assert line.isprintable(), ascii(line)
        assert not [char for char in line if _draws_nothing(char)], ascii(line)


@cache
def _draws_nothing(char: str) -> bool:
    """Return whether the character is an invisible joiner or filler. Fillers in a punctuation category are visible."""
    fills = unicodedata.name(char, "").endswith(("FILLER", "JOINER"))
    return fills and not unicodedata.category(char).startswith("P")


def shows(output: str, values: list[str]) -> None:
    """Check that every text appears in its shown form, and that no character controls the reader's terminal."""
    harmless(output)
    for value in values:
        assert shown(value).strip() in output, (ascii(value), output)
