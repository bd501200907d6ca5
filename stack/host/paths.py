"""Folders that Java programs cannot use: letters in their paths mean something else to Java or Spark."""

from pathlib import Path

from common.errors import StackError

# Java splits a class path at colons, and Spark its list of jars at commas. Spark treats the other characters as
# patterns.
_DIVIDING = ":,*?[]{}\\"
_OF_AN_AGENT = "="  # an agent's options begin here


def require_usable(cache: Path, pyspark: Path) -> None:
    """Raise StackError for a folder of jars whose path Java or Spark would misread."""
    _require(cache, _DIVIDING + _OF_AN_AGENT, "set ADSTREAM_STACK_CACHE_DIR to another folder")
    _require(pyspark, ":", "move the project without its .venv, and run `make setup` there")


def _require(folder: Path, refused: str, remedy: str) -> None:
    found = [letter for letter in refused if letter in str(folder)]
    if found:
        raise StackError(f"Java programs cannot use the folder {folder}: there is a {found[0]} in its path", remedy)
