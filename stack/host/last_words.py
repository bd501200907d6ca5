"""Read the cause from the log of a process that ended."""

from pathlib import Path

_TELLING = ("Caused by", "ERROR", "FATAL", "Exception", "rror:", "Unrecognized")
# Further lines of a trace, and Java's lines about variables that it reads.
_MEANINGLESS = ("at ", "...", "}", "Picked up ", "NOTE: Picked up ")


def last_words(log: Path, start: int = 0) -> str:
    """Return the log's most useful line about an end: the last line that names an error, else the last line.

    `start` is the first byte of interest.
    """
    try:
        with log.open("rb") as file:
            file.seek(start)
            return telling_line(file.read().decode(errors="replace").splitlines())
    except OSError:
        return "no log"


def telling_line(lines: list[str]) -> str:
    """Do the same as `last_words` for given lines."""
    spoken = [line for line in map(str.strip, lines) if line and not line.startswith(_MEANINGLESS)]
    telling = [line for line in spoken if any(sign in line for sign in _TELLING)]
    return (telling or spoken or ["it said nothing"])[-1][:300]
