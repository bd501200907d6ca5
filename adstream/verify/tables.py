"""Compare Cassandra's tables with the expected rows, row by row.

A running job writes while verify reads the tables, and Cassandra cannot read a table as it was at one moment. But the
read includes every batch committed before the reading began, and no batch that began after the reading ended. So a row
is right if it has its value at the last batch committed *before* (boundary 0). It is also right with its value at one
of the batches since then, up to the batch in flight at the end. A batch writes a row as a whole, and only with such
values. A row that these batches do not change has only one right value. The report counts the other rows as `moving`.
Once the job has read the whole topic, no row moves. A stopped job may have planned a batch that it did not run.

In real-time mode Spark records a batch only when it ends, and its rows are in the tables long before. There everything
behind the last commit is boundary 1, and a moving row may have any state in between. Each of its sums is between its
values at the two boundaries, and its average belongs to its sums.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa

from adstream.verify.oracle import NO_WINDOW, TOTALS, WINDOWS, Oracle, money
from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.settings import Settings

_PAGE = 5_000
_CHUNK = 50_000
_SHOWN = 10
_CELLS = ("clicks", "views", "cost", "average")
_KEYS = {TOTALS: "ad_id", WINDOWS: "ad_id, window_start"}
_FOUND = pa.schema(
    [
        ("name", pa.string()),
        ("ad_id", pa.string()),
        ("start", pa.int64()),
        ("clicks", pa.int64()),
        ("views", pa.int64()),
        ("cost", pa.string()),
        ("average", pa.string()),
    ]
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the driver's times are UTC without saying so
_MILLISECOND = timedelta(milliseconds=1)

# With `absent` the row need not exist yet. A table's row that is not expected has no version.
_VERDICTS = """
    CREATE OR REPLACE TABLE verdicts AS
    SELECT name, ad_id, start,
        coalesce(max(boundary), 0) > 0 AS moving,
        bool_or(v.boundary IS NOT NULL AND f.is_found) AS both_there,
        coalesce(bool_or(
            f.is_found AND v.clicks = f.clicks AND v.views = f.views AND v.cost = f.cost
            AND v.average IS NOT DISTINCT FROM f.average
        ), false) OR (bool_and(f.is_found IS NULL) AND coalesce(min(boundary), 0) > 0)
        OR ($between AND coalesce(bool_and(f.average IS NOT DISTINCT FROM
                CASE WHEN f.views > 0 THEN ((2 * f.micros + f.views) // (2 * f.views))::VARCHAR END)
            AND max(f.clicks) BETWEEN coalesce(max(v.clicks) FILTER (boundary = 0), 0) AND max(v.clicks)
            AND max(f.views) BETWEEN coalesce(max(v.views) FILTER (boundary = 0), 0) AND max(v.views)
            AND max(f.micros) BETWEEN coalesce(max(v.cost::HUGEINT) FILTER (boundary = 0), 0)
                AND max(v.cost::HUGEINT), false)) AS good
    FROM versions v FULL JOIN (
        SELECT *, true AS is_found, TRY_CAST(cost AS HUGEINT) AS micros FROM found
    ) f USING (name, ad_id, start)
    WHERE (name = $windows AND start > $oldest) OR (name = $totals AND $with_totals)
    GROUP BY name, ad_id, start
"""
_COUNTS = """
    SELECT count(*), 4 * count(*) FILTER (both_there), count(*) FILTER (moving), count(*) FILTER (NOT good)
    FROM verdicts
"""
_DIFFERENCES = """
    SELECT name, ad_id, start, moving, v.boundary, v.clicks, v.views, v.cost, v.average,
        f.is_found, f.clicks, f.views, f.cost, f.average
    FROM (SELECT * FROM verdicts WHERE NOT good ORDER BY name, ad_id, start LIMIT $shown)
    LEFT JOIN versions v USING (name, ad_id, start)
    LEFT JOIN (SELECT *, true AS is_found FROM found) f USING (name, ad_id, start)
    QUALIFY row_number() OVER (PARTITION BY name, ad_id, start ORDER BY v.boundary DESC) = 1
    ORDER BY name, ad_id, start
"""


@dataclass
class Comparison:
    """The numbers of compared rows and cells, of `moving` rows and of differences, and the first differences."""

    rows: int = 0
    cells: int = 0
    moving: int = 0
    different: int = 0
    differences: list[str] = field(default_factory=list)


def read_tables(settings: Settings, oracle: Oracle, page_read: Callable[[], None]) -> None:
    """Read both tables whole, in pages. Calls `page_read` after each page."""
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        chunk: list[tuple[Any, ...]] = []
        try:
            for name, key in _KEYS.items():
                for rows in _pages(session, name, key):
                    chunk += [_found(name, row) for row in rows]
                    page_read()
                    if len(chunk) >= _CHUNK:
                        _append(oracle, chunk)
                        chunk = []
        except DRIVER_ERRORS as error:
            raise explain(error, settings.cassandra) from error
        _append(oracle, chunk)


def compare(oracle: Oracle, *, oldest: datetime, with_totals: bool = True, between: bool = False) -> Comparison:
    """Compare the table's rows with the computed ones: windows that begin after `oldest`, and totals if wanted.

    With `between` a moving row may have any state between its states at the boundaries, as in real-time mode.
    """
    since = oldest.astimezone(UTC).replace(tzinfo=None) - _EPOCH
    scope = {"windows": WINDOWS, "totals": TOTALS, "oldest": since // _MILLISECOND, "with_totals": with_totals}
    oracle.db.execute(_VERDICTS, {**scope, "between": between})
    [counts] = oracle.rows(_COUNTS)
    result = Comparison(*counts)
    for row in oracle.rows(_DIFFERENCES, {"shown": _SHOWN}):
        result.differences += _lines(row)
    del result.differences[_SHOWN:]
    return result


def _pages(session: Any, table: str, key: str) -> Iterator[list[Any]]:  # noqa: ANN401 - the driver is untyped
    from cassandra.query import SimpleStatement

    columns = f"{key}, total_clicks, total_views, total_cost, avg_cost_per_view"
    found = session.execute(SimpleStatement(f"SELECT {columns} FROM {table}", fetch_size=_PAGE))  # noqa: S608
    while True:
        yield found.current_rows
        if not found.has_more_pages:
            return
        found.fetch_next_page()


def _found(name: str, row: Any) -> tuple[Any, ...]:  # noqa: ANN401
    start = NO_WINDOW if name == TOTALS else (row.window_start - _EPOCH) // _MILLISECOND
    sums = row.total_clicks, row.total_views, micros(row.total_cost), micros(row.avg_cost_per_view)
    return name, row.ad_id, start, *sums


def micros(cost: Decimal | None) -> str | None:
    """Return millionths as text. A value with more than 6 decimals keeps them, and so equals no computed value."""
    if cost is None:
        return None
    with localcontext() as context:
        context.prec = 100
        scaled = cost.scaleb(6)
        return str(int(scaled)) if scaled == scaled.to_integral_value() else str(scaled)


def _append(oracle: Oracle, chunk: list[tuple[Any, ...]]) -> None:
    if chunk:
        columns = [pa.array(column, kind.type) for column, kind in zip(zip(*chunk, strict=True), _FOUND, strict=True)]
        oracle.append("found", pa.Table.from_arrays(columns, schema=_FOUND))


def _lines(row: tuple[Any, ...]) -> Iterator[str]:
    name, ad, start, moving, boundary, *values, is_found, clicks, views, cost, average = row
    where = f"{name} {ad}"
    if start != NO_WINDOW:
        where += f" {(_EPOCH + start * _MILLISECOND).replace(tzinfo=UTC).isoformat()}"
    if boundary is None or not is_found:
        yield f"{where}: {'missing' if boundary is not None else 'only in the table'}"
        return
    hint = ", or what it was before the batches that ran meanwhile" if moving else ""
    for cell, must, has in zip(_CELLS, values, (clicks, views, cost, average), strict=True):
        if must != has:
            shown = [money(each) if each is not None and cell in ("cost", "average") else each for each in (has, must)]
            yield f"{where}: {cell} is {shown[0]}, must be {shown[1]}{hint}"
