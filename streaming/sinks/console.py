"""The console sink: each batch's rows as a table, and no other output."""

import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType
from rich.table import Table

from common.errors import ConfigError
from common.settings import Settings
from common.text.terminal import Terminal, plain, print_whole
from streaming.sinks.sink import Sink, Write

ROWS_SHOWN = 20
_WIDTH_OF_A_FILE = 240
_KIND = "kind"


class Console(Sink):
    """Prints the rows of a batch, a table for each `kind`; each table has at most `ROWS_SHOWN` rows."""

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return lambda rows, _stamp: show(rows)


def show(rows: DataFrame) -> int:
    """Print the rows, newest or largest first. Raises ConfigError if standard output refuses them."""
    changed = rows.collect()
    try:
        _show(rows.columns, changed)
    except (Exception, SystemExit) as refused:
        # The rows exist: no message is to blame, and no retry helps. Rich answers a closed pipe with an exit, which
        # would kill the thread of Spark's callback.
        gone = isinstance(refused, SystemExit | BrokenPipeError)
        why = "nobody reads it any more" if gone else f"{type(refused).__name__}: {refused}"
        raise ConfigError(f"standard output takes no rows: {why}", "run the job without --console") from refused
    return len(changed)


def _show(names: list[str], changed: list[Row]) -> None:
    kinds = sorted({row[_KIND] for row in changed}, reverse=True) if _KIND in names else [None]
    for kind in kinds:
        chosen = [row for row in changed if kind is None or row[_KIND] == kind]
        columns = [name for name in names if name != _KIND and any(row[name] is not None for row in chosen)]
        if chosen:
            ordered = _in_order(columns, chosen)
            _print(table(f"{kind}s" if kind else "rows", columns, ordered, most=ROWS_SHOWN))


def _print(found: Table) -> None:
    terminal = Terminal()
    # A file or a pipe has no width to fit a row into.
    terminal.width = terminal.width if terminal.is_terminal else _WIDTH_OF_A_FILE
    print_whole(terminal, found)
    sys.stdout.flush()


def table(title: str, columns: list[str], rows: list[Any], *, most: int = 1_000) -> Table:
    """Return a table of the first rows (by name): times in UTC, numbers to the right."""
    more = f", the first {most} of {len(rows):,}" if len(rows) > most else ""
    titled = plain(f"{title}{more}", "table.title")
    found = Table(title=titled, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        numeric = any(isinstance(row[name], int | float | Decimal) for row in rows)
        folded = not numeric and any(not isinstance(row[name], date | None) for row in rows)
        found.add_column(plain(name), justify="right" if numeric else "left", no_wrap=not folded)
    for row in rows[:most]:
        found.add_row(*(plain(text(row[name])) for name in columns))
    return found


def text(value: object) -> str:
    """Return a cell's text: null is empty, times are UTC, numbers have thousands separators."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return f"{moment:%Y-%m-%d %H:%M:%S}" + (f".{moment.microsecond // 1000:03}" if moment.microsecond else "")
        case date():
            return value.isoformat()
        case int() | Decimal():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}"
        case _:
            return str(value)


def _in_order(columns: list[str], rows: Iterable[Row]) -> list[Row]:
    """Sort the rows by time, newest first; within a time by the other columns."""
    times = [name for name in columns if name.endswith(("_start", "_at")) or name in ("timestamp", "ts")]
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in columns))
    return sorted(
        ordered, key=lambda row: tuple((row[name] is not None, row[name]) for name in times[:1]), reverse=True
    )
