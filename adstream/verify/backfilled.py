"""Late events that a backfill has counted: they are in the windows, but not in the totals.

Records of backfills (common.bookkeeping.backfills) name the events. This module computes their sums like all others.
"""

from collections.abc import Iterable

import duckdb

from common.bookkeeping.backfills import Backfill

TABLES = """
    CREATE TABLE covered (partition INTEGER, upto BIGINT, first BIGINT, last BIGINT);
"""
# Late messages with at least one window that a backfill has written since. Each event id comes once, and no id that
# counted comes here.
_LATE_ONCE = """
    CREATE OR REPLACE TABLE late_once AS
    SELECT * FROM judged AS late
    WHERE outcome = 'late' AND boundary < $beyond
        AND EXISTS (
            SELECT 1 FROM covered
            WHERE covered.partition = late.partition AND late."offset" < upto
                AND timestamp >= first AND timestamp < last + $length - $slide
        )
        AND (NOT $dedupe OR event_id IS NULL OR NOT EXISTS (
            SELECT 1 FROM judged AS other WHERE other.outcome = 'counted' AND other.event_id = late.event_id
            UNION ALL SELECT 1 FROM known_ids WHERE known_ids.event_id = late.event_id
        ))
    QUALIFY NOT $dedupe OR event_id IS NULL OR row_number() OVER (PARTITION BY event_id ORDER BY place) = 1
"""
_IN_WINDOWS = """
    CREATE OR REPLACE TABLE late_in_windows AS
    SELECT ad_id, start, boundary, clicks, views, cost_micros FROM (
        SELECT *, (timestamp // $slide - nth) * $slide AS start
        FROM late_once, generate_series(0, $length // $slide - 1) AS series(nth)
    ) AS late
    WHERE EXISTS (
        SELECT 1 FROM covered
        WHERE covered.partition = late.partition AND late."offset" < upto AND start >= first AND start < last
    )
"""


def load(db: duckdb.DuckDBPyConnection, backfills: Iterable[Backfill]) -> None:
    """Load each backfill that counted late events: its windows, and the offsets below which late events count."""
    for each in backfills:
        if each.late:
            first, last = (int(time.timestamp() * 1_000) for time in (each.start, each.end))
            for partition, upto in each.upto.items():
                db.execute("INSERT INTO covered VALUES (?, ?, ?, ?)", [partition, upto, first, last])


def compute(db: duckdb.DuckDBPyConnection, *, length: int, slide: int, dedupe: bool, beyond: int) -> None:
    """Make `late_once`, and `late_in_windows`, the same per window (`start`) with the event. Lengths are in ms."""
    db.execute(_LATE_ONCE, {"length": length, "slide": slide, "dedupe": dedupe, "beyond": beyond})
    db.execute(_IN_WINDOWS, {"length": length, "slide": slide})
