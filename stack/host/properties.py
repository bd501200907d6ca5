"""Configuration files of Java programs."""

from collections.abc import Mapping


def properties(values: Mapping[str, object]) -> str:
    """Write the lines of a Java properties file: Latin-1, with `\\uXXXX` for other characters and for backslashes."""
    return "".join(f"{key}={_escaped(str(value))}\n" for key, value in values.items())


def _escaped(value: str) -> str:
    return "".join(char if " " <= char <= "~" and char != "\\" else _unicode_escapes(char) for char in value)


def _unicode_escapes(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
