"""Escape text for Streamlit's Markdown, so that it appears unchanged.

A backslash stops Markdown, HTML, mathematics and directives like `:red[...]`. It does not stop patterns that Streamlit
looks for after parsing: short codes of emoji and icons, bare links, and arrows. Streamlit leaves code alone, so a word
with one of these patterns is shown as code.
"""

import re

from common.text.shown import shown

_SIGN = re.compile(r"([!-/:-@\[-`{-~])")
_AFTER_PARSING = re.compile(
    r":[\w+-]+(?::|$)|:material|https?://[-\w]*\.|www\.|@[-\w]+\.|^(?:<->|->|<-|--|>=|<=|~=)$", re.IGNORECASE
)
# Streamlit also rewrites this within code.
_ICON = ":material/"


def literal(text: str) -> str:
    """Return one line of Markdown that looks like the text; several spaces become one."""
    return " ".join(map(_word, shown(text).split()))


def with_commands(text: str) -> str:
    """Escape as `literal` does, but show text in backticks as code: `adstream up`."""
    parts = shown(text).split("`")
    return "".join(_keeping_space(part) if at % 2 == 0 else code(part) for at, part in enumerate(parts))


def code(text: str) -> str:
    """Return the text as code, between more backticks than any run within it."""
    pieces = [_span(piece) for piece in shown(text).replace(_ICON, f"\0{_ICON[1:]}").split("\0")]
    return r"\:".join(pieces)


def _span(text: str) -> str:
    if not text.strip():
        return text
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def _word(word: str) -> str:
    return code(word) if _AFTER_PARSING.search(word) else _SIGN.sub(r"\\\1", word)


def _keeping_space(text: str) -> str:
    """Escape as `literal` does, and keep a space at either end."""
    return f"{' ' * text.startswith(' ')}{literal(text)}{' ' * text.endswith(' ')}"
