"""A fault that somebody could make in this project's code, and the test that must catch it."""

from dataclasses import dataclass
from pathlib import Path


class FaultError(Exception):
    """A fault no longer fits its file: one line to read."""


@dataclass(frozen=True)
class Fault:
    """Replaces `text`, which occurs once in `file`, by `replacement`; `harm` says what goes wrong then.

    `file` is relative to the project's folder. `test` is the node id of the test that must fail.
    """

    name: str
    harm: str
    file: str
    text: str
    replacement: str
    test: str

    def applied(self, root: Path) -> str:
        """Return the file's text with the fault. Raises FaultError."""
        path = root / self.file
        if not path.is_file():
            raise FaultError(f"{self.name}: there is no {self.file}")
        before = path.read_text(encoding="utf-8")
        if before.count(self.text) != 1:
            raise FaultError(f"{self.name}: {self.file} has its text {before.count(self.text)} times, not once")
        return before.replace(self.text, self.replacement)
