"""`--json`: one JSON document alone on standard output; progress and errors go to standard error."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for scripts.")]


def print_document(found: object) -> None:
    """Print strict JSON: decimals as exact text, times as ISO 8601 in UTC, NaN and infinities as text."""
    from consumer.display import strict

    typer.echo(json.dumps(strict(found), indent=2, allow_nan=False))


def print_row(row: Mapping[str, Any]) -> None:
    """Print one line of strict JSON, for rows that are read one by one."""
    from consumer.display import strict

    typer.echo(json.dumps(strict(row), allow_nan=False))


def tables_document(tables: Mapping[str, Iterable[Mapping[str, Any]]], *, complete: bool) -> dict[str, Any]:
    """Return rows by table. `complete` is False if they come from only a part of the rows.

    Times without a zone are UTC.
    """
    rows = {
        name: [{column: _in_utc(value) for column, value in row.items()} for row in tables[name]] for name in tables
    }
    return {"tables": rows, "complete": complete}


def _in_utc(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
