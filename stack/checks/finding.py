"""What a check of `adstream doctor` found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do when it is not well."""

    verdict: Literal["OK", "WARN", "FAIL"]
    subject: str
    detail: str
    remedy: str = ""
