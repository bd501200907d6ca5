"""Bounded reads of `ad_metrics` and `ad_metrics_by_window` for people, by key if possible."""

import heapq
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.settings import CassandraSettings

# Cassandra keeps no order among ads. So the top ads are the top of at most this many rows.
MOST_ADS = 100_000
# For an ad without recent events the windows are read by key, day by day, back to this many days ago.
MOST_DAYS = 7


@dataclass(frozen=True)
class Sums:
    """Totals of one ad, or of one of its windows when `start` and `end` are given. Times are UTC."""

    ad_id: str
    start: datetime | None
    end: datetime | None
    clicks: int
    views: int
    cost: Decimal
    cost_per_view: Decimal | None
    updated: datetime


def top_ads(settings: CassandraSettings, limit: int) -> tuple[list[Sums], bool]:
    """Return the ads with the highest cost, and whether all ads were seen: at most `MOST_ADS` are read.

    Raises the errors of `common.cassandra.session.open_session`, and ConfigError if the table is missing.
    """
    with connect(settings, keyspace=settings.keyspace) as session:
        try:
            query = SimpleStatement(f"SELECT * FROM ad_metrics LIMIT {MOST_ADS + 1}", fetch_size=5_000)  # noqa: S608
            found = [_sums(row) for row in session.execute(query)]
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error
    top = heapq.nlargest(limit, islice(found, MOST_ADS), key=lambda sums: (sums.cost, sums.ad_id))
    return top, len(found) <= MOST_ADS


def one_ad(settings: CassandraSettings, ad_id: str, limit: int) -> tuple[Sums | None, list[Sums]]:
    """Return an ad's totals, and its newest windows, newest first. None and an empty list for an ad never counted."""
    with connect(settings, keyspace=settings.keyspace) as session:
        try:
            row = session.execute("SELECT * FROM ad_metrics WHERE ad_id = %s", (ad_id,)).one()
            if row is None:
                return None, []
            total = _sums(row)
            # Events may be stamped a little ahead of the clock, so the newest window may be of the next day.
            return total, _windows(session, ad_id, total.updated.date() + timedelta(days=1), limit)
        except DRIVER_ERRORS as error:
            raise explain(error, settings) from error


def _windows(session: Session, ad_id: str, newest: date, limit: int) -> list[Sums]:
    query = session.prepare("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? LIMIT ?")
    found: list[Sums] = []
    for back in range(MOST_DAYS + 1):
        if len(found) == limit:
            break
        rows = session.execute(query, (ad_id, newest - timedelta(days=back), limit - len(found)))
        found += [_sums(row) for row in rows]
    return found


def _sums(row: Any) -> Sums:  # noqa: ANN401 - the driver has no types
    return Sums(
        ad_id=row.ad_id,
        start=getattr(row, "window_start", None),
        end=getattr(row, "window_end", None),
        clicks=row.total_clicks or 0,
        views=row.total_views or 0,
        cost=row.total_cost if row.total_cost is not None else Decimal(0),
        cost_per_view=row.avg_cost_per_view,
        updated=row.last_updated,
    )
