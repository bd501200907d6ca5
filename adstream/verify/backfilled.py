"""Late events that a backfill has counted since: they are in the windows, and not in the totals.

Which ones is taken from what backfills recorded (adstream.backfills); what they come to is computed here like all else.
"""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import duckdb

from adstream.backfills import Backfill, recorded
from adstream.errors import CheckpointError
from adstream.settings import Settings

_MILLISECOND = timedelta(milliseconds=1)

_COVERED = """
    CREATE TABLE covered ("partition" INT, upto BIGINT, first BIGINT, last BIGINT)
"""
# Like `once` of the oracle, for late messages with at least one window that a backfill has written since.
_LATE_ONCE = """
    CREATE TABLE late_once AS
    SELECT * FROM messages AS late
    WHERE outcome = 'late'
        AND EXISTS (
            SELECT 1 FROM covered
            WHERE covered."partition" = late."partition" AND "offset" < upto
                AND timestamp >= first AND timestamp < last + $length - $slide
        )
        AND (NOT $dedupe OR event_id IS NULL OR NOT EXISTS (SELECT 1 FROM once WHERE once.event_id = late.event_id))
    QUALIFY NOT $dedupe OR event_id IS NULL
        OR row_number() OVER (PARTITION BY event_id ORDER BY "partition", "offset") = 1
"""
_IN_WINDOWS = """
    CREATE TABLE late_in_windows AS
    SELECT * FROM (
        SELECT *, (timestamp // $slide - nth) * $slide AS start
        FROM late_once, generate_series(0, $length // $slide - 1) AS series(nth)
    ) AS late
    WHERE EXISTS (
        SELECT 1 FROM covered
        WHERE covered."partition" = late."partition" AND "offset" < upto AND start >= first AND start < last
    )
"""


def of_checkpoint(settings: Settings, job: str, checkpoint: Path) -> list[Backfill]:
    """The backfills that counted late events in the windows of the job with this (local) checkpoint."""
    try:
        identity: str = json.loads((checkpoint / "metadata").read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, KeyError):
        raise CheckpointError(f"{checkpoint} does not say its id", "it may be damaged") from None
    return [each for each in recorded(settings.cassandra, job, identity) if each.late]


def count_late(
    db: duckdb.DuckDBPyConnection, backfills: Iterable[Backfill], *, window: timedelta, slide: timedelta, dedupe: bool
) -> int:
    """Make the table `late_in_windows`: late messages, once per window (`start`) that holds them; returns how many.

    Reads the oracle's tables `messages` and `once`.
    """
    db.execute(_COVERED)
    for each in backfills:
        first, last = (int(time.timestamp() * 1_000) for time in (each.start, each.end))
        for partition, upto in each.upto.items():
            db.execute("INSERT INTO covered VALUES (?, ?, ?, ?)", [partition, upto, first, last])
    lengths = {"length": window // _MILLISECOND, "slide": slide // _MILLISECOND}
    db.execute(_LATE_ONCE, {**lengths, "dedupe": dedupe})
    db.execute(_IN_WINDOWS, lengths)
    return int(db.execute("SELECT count(*) FROM late_once").fetchall()[0][0])
