"""Errors in the code of a user's project: the text for one line, and the place to correct."""

import traceback
from pathlib import Path


def error_text(error: BaseException) -> str:
    """Return the error's type and text in one line."""
    text = error.msg if isinstance(error, SyntaxError) else error
    said = " ".join(str(text).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def error_place(error: BaseException, within: Path) -> str:
    """Return file and line of the innermost code in the folder or file `within` that led to the error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).is_relative_to(within)]
    return f"{frames[-1].filename} line {frames[-1].lineno}" if frames else str(within)
