"""The rows of `ad_metrics_by_window` by time, without reading the whole table for each piece."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import SimpleStatement

from adstream.cassandra import DRIVER_ERRORS, explain
from adstream.settings import CassandraSettings
from adstream.verify.oracle import Sums
from adstream.verify.tables import sums_of

TABLE = "ad_metrics_by_window"
_CONCURRENT = 50
# (ad, start of the window in UTC)
WindowKey = tuple[str, datetime]


class WindowRows:
    """The table's partitions (ad, day) are listed once; windows of others are found when they are `named`."""

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
        """The windows that begin in [start, end)."""
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
