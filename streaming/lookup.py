"""The static table of a job, from a CSV. The job reads it once at its start, so that no batch sees half a file."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from common.errors import BadInput
from common.text.csv_rows import BadRow, Row, rows
from common.text.numbers import decimal_number, whole_number
from common.text.text_input import TextInput

# A lookup is broadcast to every task.
MOST_ROWS = 1_000_000
_PARSE: dict[str, Callable[[str], Any]] = {
    "int": whole_number,
    "bigint": whole_number,
    "double": decimal_number,
    "string": lambda text: text or None,
}
_INT = 2**31


def lookup_table(spark: SparkSession, path: Path, columns: str) -> DataFrame:
    """Return the rows of the CSV at `path`.

    Its header has the `columns` (Spark's DDL: int, bigint, double, string) in any order.

    Empty text is null. A restarted job must read the same file again, so a pipe is refused. Raises BadInput with file
    and line for text that breaks the rules of docs/files.md.
    """
    kinds = dict(column.split() for column in columns.split(","))
    text = TextInput(path, "--lookup", pipes=False)
    with rows(text, list(kinds)) as found:
        read = [_typed(path, row, kinds) for row in islice(found, MOST_ROWS + 1)]
    if len(read) > MOST_ROWS:
        raise BadInput(f"{path} has more than {MOST_ROWS:,} rows", "join with a table of this size elsewhere")
    return spark.createDataFrame(read, columns)


def _typed(path: Path, row: Row | BadRow, kinds: dict[str, str]) -> tuple[Any, ...]:
    if isinstance(row, BadRow):
        raise BadInput(f"{path} line {row.line}: {row.reason}", "correct it")
    return tuple(_value(path, row.line, name, kind, row.cells[name]) for name, kind in kinds.items())


def _value(path: Path, line: int, name: str, kind: str, text: str) -> Any:  # noqa: ANN401 - a cell of a table
    try:
        value = _PARSE[kind](text)
        if kind == "int" and not -_INT <= value < _INT:
            raise ValueError(f"{text!r} has more than 32 bits")
    except ValueError as error:
        raise BadInput(f"{path} line {line}: {name} {error}", "correct it") from None
    return value
