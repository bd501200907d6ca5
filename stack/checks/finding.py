"""The result of a check of `adstream doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: the thing checked, its state, and the remedy for a problem."""

    verdict: Literal["OK", "WARN", "FAIL"]
    subject: str
    detail: str
    remedy: str = ""
