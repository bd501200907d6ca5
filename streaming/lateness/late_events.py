"""Write late events to the table `late_events`, for jobs that write to Cassandra.

Each batch writes its own row for a window, by the checkpoint's id and the batch's number, with absolute values. A
repeated batch rewrites the same rows. If the job decides lateness itself, it writes the rows before the commit of the
batch, so the table is exact. Spark reports rows dropped by its watermark only after the commit. If the driver dies in
between, that batch's late events are missing from the table.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from common.lateness.late_events import TABLE
from common.settings import CassandraSettings
from streaming.lateness.counts import Late
from streaming.sinks.cassandra_rows import RowWriter, Table
from streaming.sinks.sink import Stamp

_COLUMNS = (
    "job", "hour", "window_start", "checkpoint", "batch_id", "events", "events_once", "delays", "last_updated",
)  # fmt: skip


def write(settings: CassandraSettings, late: Late, job: str, checkpoint: str, batch_id: int, stamp: Stamp) -> None:
    """Upsert one batch's part of each window. Returns when all rows are acknowledged, or raises SinkError."""
    if not late.windows:
        return
    writer = RowWriter(settings, timestamp=stamp.micros)
    for row in _rows(late, job, checkpoint, batch_id, stamp.time):
        writer.add(Table(TABLE, _COLUMNS), row)
    writer.finish()


def _rows(late: Late, job: str, checkpoint: str, batch_id: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    for start, delays in late.windows.items():
        hour = start.replace(minute=0, second=0, microsecond=0)
        yield (
            job, hour, start, checkpoint, batch_id,
            sum(delays.values()), late.once.get(start, 0), dict(delays), now,
        )  # fmt: skip
