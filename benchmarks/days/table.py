"""Reads the windows of a day from Cassandra."""

from datetime import UTC, timedelta

from cassandra.query import SimpleStatement

from benchmarks.days.book import Key, Sums
from benchmarks.days.plan import WINDOW_MS
from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import Mismatch
from common.settings import Settings
from common.text.moments import to_millis

_WINDOWS = (
    "SELECT ad_id, day, window_start, window_end, total_clicks, total_views, total_cost FROM ad_metrics_by_window"
)
_PAGE = 5_000


def read_windows(settings: Settings) -> dict[Key, Sums]:
    """Return the sums of all rows of windows.

    Raises Mismatch for a row under another day than its start's, for a window of another length, and for two rows of
    the same ad and start.
    """
    found: dict[Key, Sums] = {}
    cassandra = settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        try:
            for row in session.execute(SimpleStatement(_WINDOWS, fetch_size=_PAGE)):
                start = row.window_start.replace(tzinfo=UTC)
                key = row.ad_id, to_millis(start)
                named = f"{row.ad_id} {start:%Y-%m-%dT%H:%M:%SZ}"
                if row.day.date() != start.date():
                    raise Mismatch(f"the window {named} is under the day {row.day.date()}", "see docs/guarantees.md")
                if row.window_end - row.window_start != timedelta(milliseconds=WINDOW_MS):
                    raise Mismatch(f"the window {named} ends at {row.window_end}", "see docs/guarantees.md")
                if key in found:
                    raise Mismatch(f"the window {named} has two rows", "see docs/guarantees.md")
                found[key] = row.total_clicks, row.total_views, int(row.total_cost * 1_000_000)
        except DRIVER_ERRORS as error:
            raise explain(error, cassandra) from error
    return found
