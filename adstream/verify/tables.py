"""Cassandra's tables against what they must hold, cell by cell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from adstream.cassandra import connect
from adstream.settings import Settings
from adstream.verify.oracle import Expected, Sums

_PAGE = 5_000
_CELLS = ("clicks", "views", "cost", "average")
K = TypeVar("K")


@dataclass
class Comparison:
    """Rows and cells compared, and the first differences as lines to read."""

    rows: int = 0
    cells: int = 0
    differences: list[str] = field(default_factory=list)
    different: int = 0

    def differs(self, line: str) -> None:
        """Count a difference; only the first ten are kept."""
        self.different += 1
        if self.different <= 10:
            self.differences.append(line)


def compare(settings: Settings, expected: Expected, *, now: datetime) -> Comparison:
    """Read both tables whole and compare. Windows that the TTL may have removed are left out on both sides."""
    oldest = now - settings.window_ttl
    result = Comparison()
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        found = {
            (row.ad_id, row.window_start.replace(tzinfo=UTC)): sums_of(row)
            for row in _rows(session, "ad_metrics_by_window", "ad_id, window_start")
        }
        alive = {key: sums for key, sums in expected.windows.items() if key[1] > oldest}
        compare_rows(result, "ad_metrics_by_window", alive, {k: v for k, v in found.items() if k[1] > oldest})
        totals = {row.ad_id: sums_of(row) for row in _rows(session, "ad_metrics", "ad_id")}
        compare_rows(result, "ad_metrics", expected.totals, totals)
    return result


def _rows(session: Any, table: str, key: str) -> Iterator[Any]:  # noqa: ANN401 - the driver is untyped
    from cassandra.query import SimpleStatement

    columns = f"{key}, total_clicks, total_views, total_cost, avg_cost_per_view"
    yield from session.execute(SimpleStatement(f"SELECT {columns} FROM {table}", fetch_size=_PAGE))  # noqa: S608


def sums_of(row: Any) -> Sums:  # noqa: ANN401
    """A row of either table."""
    return Sums(row.total_clicks, row.total_views, row.total_cost, row.avg_cost_per_view)


def compare_rows(result: Comparison, table: str, expected: Mapping[K, Sums], found: Mapping[K, Sums]) -> None:
    """Add the cells of these rows to the result."""
    for key in sorted({*expected, *found}, key=str):
        must, has = expected.get(key), found.get(key)
        result.rows += 1
        if must is None or has is None:
            result.differs(f"{table} {_name(key)}: {'only in the table' if must is None else 'missing'}")
            continue
        for cell in _CELLS:
            result.cells += 1
            if getattr(must, cell) != getattr(has, cell):
                line = f"{cell} is {getattr(has, cell)}, must be {getattr(must, cell)}"
                result.differs(f"{table} {_name(key)}: {line}")


def _name(key: object) -> str:
    return (
        " ".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in key)
        if isinstance(key, tuple)
        else str(key)
    )
