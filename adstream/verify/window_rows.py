"""The rows of `ad_metrics_by_window` by time, without reading the whole table for each piece."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import SimpleStatement

from adstream.verify.oracle import Sums
from adstream.verify.tables import Comparison
from common.cassandra.session import DRIVER_ERRORS, explain
from common.settings import CassandraSettings

TABLE = "ad_metrics_by_window"
_CONCURRENT = 50
_SHOWN = 10
_CELLS = ("clicks", "views", "cost", "average")
# (ad, start of the window in UTC)
WindowKey = tuple[str, datetime]


class WindowRows:
    """Lists the table's partitions (ad, day) once. Later partitions are found only for windows that are `named`."""

    def __init__(self, settings: CassandraSettings, session: Session) -> None:
        self._settings = settings
        self._session = session
        query = SimpleStatement(f"SELECT DISTINCT ad_id, day FROM {TABLE}", fetch_size=5_000)  # noqa: S608
        try:
            self._ads: dict[date, set[str]] = {}
            for row in session.execute(query):
                self._ads.setdefault(row.day.date(), set()).add(row.ad_id)
            self._query = session.prepare(
                "SELECT ad_id, window_start, total_clicks, total_views, total_cost, avg_cost_per_view"
                " FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? AND window_start >= ? AND window_start < ?"
            )
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error

    def read(self, start: datetime, end: datetime, named: Iterable[WindowKey]) -> dict[WindowKey, Sums]:
        """Return the windows that begin in [start, end)."""
        for ad, window_start in named:
            self._ads.setdefault(window_start.date(), set()).add(ad)
        days = {(start + timedelta(days=nth)).date() for nth in range((end - start).days + 1)} | {end.date()}
        wanted = [(ad, day, start, end) for day in sorted(days) for ad in sorted(self._ads.get(day, ()))]
        try:
            answers = execute_concurrent_with_args(self._session, self._query, wanted, concurrency=_CONCURRENT)
            return {
                (row.ad_id, row.window_start.replace(tzinfo=UTC)): sums_of(row)
                for answer in answers
                for row in answer.result_or_exc
            }
        except DRIVER_ERRORS as error:
            raise explain(error, self._settings) from error


def sums_of(row: Any) -> Sums:  # noqa: ANN401 - the driver's rows
    """Return the sums of a row of either table."""
    return Sums(row.total_clicks, row.total_views, row.total_cost, row.avg_cost_per_view)


def compare_rows(result: Comparison, expected: Mapping[WindowKey, Sums], found: Mapping[WindowKey, Sums]) -> None:
    """Add these windows to the result. Keeps the first differences as lines to read."""
    for key in sorted({*expected, *found}):
        must, has = expected.get(key), found.get(key)
        result.rows += 1
        if must is not None and has is not None:
            result.cells += len(_CELLS)
        if must != has:
            result.different += 1
            result.differences += _lines(key, must, has)
    del result.differences[_SHOWN:]


def _lines(key: WindowKey, must: Sums | None, has: Sums | None) -> list[str]:
    where = f"{TABLE} {key[0]} {key[1].isoformat()}"
    if must is None or has is None:
        return [f"{where}: {'only in the table' if must is None else 'missing'}"]
    pairs = [(cell, getattr(must, cell), getattr(has, cell)) for cell in _CELLS]
    return [f"{where}: {cell} is {has}, must be {must}" for cell, must, has in pairs if must != has]
