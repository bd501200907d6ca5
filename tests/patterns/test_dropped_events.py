"""Spark's watermark drops late events. A report reads their batch again, and without that the job goes on.

No service: events are JSON files, and each batch is one file.
"""

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.settings import Settings
from streaming.jobs import find
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.sinks.sink import Sink, Stamp, Write
from streaming.sources import Folder

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# The minutes of each batch's events. The first batch moves the watermark to 50, and the third is the first to feel it.
BATCHES = ([60], [60], [0, 1, 1], [61])
LATE = 2
# The events that came too late, by window. Spark itself counts two: one group for each window.
BY_WINDOW, BY_SPARK = {START: 1, START + MINUTE: 2}, 2
# A file with Hadoop's checksums, each for 512 bytes. This sum is right for no text.
WRONG_SUM = b"crc\0" + (512).to_bytes(4, "big") + bytes(4)


class Rows(Sink):
    """A sink that counts the batches. When it has the rows of the late events' batch, it calls `then`."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._batches = 0

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return self._write

    def _write(self, rows: DataFrame, _stamp: Stamp) -> int:
        found = rows.collect()
        if self._batches == LATE:
            self._then()
        self._batches += 1
        return len(found)


def nothing(_file: Path, _checkpoint: Path) -> None:
    pass


def moved(file: Path, _checkpoint: Path) -> None:
    file.rename(file.parents[1] / "elsewhere.json")


def unreadable(file: Path, _checkpoint: Path) -> None:
    file.with_name(f".{file.name}.crc").write_bytes(WRONG_SUM)


def without_offsets(_file: Path, checkpoint: Path) -> None:
    (checkpoint / "offsets" / f".{LATE - 1}.crc").write_bytes(WRONG_SUM)


def run(
    spark: SparkSession, place: Path, meanwhile: Callable[[Path, Path], None]
) -> tuple[list[BatchReport], list[str]]:
    """Run the job over all batches. `meanwhile` happens between the rows of the late events' batch and its report.

    Returns the reports, and the notices about late events.
    """
    inputs, checkpoint = place / "events", place / "checkpoint"
    inputs.mkdir()
    for number, minutes in enumerate(BATCHES):
        events = [
            {"user_id": "u1", "event": "click", "eventtimestamp": f"{START + each * MINUTE:%Y-%m-%dT%H:%M:%SZ}"}
            for each in minutes
        ]
        file = inputs / f"{number}.json"
        file.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
        arrival = (START + 120 * MINUTE).timestamp() + number
        os.utime(file, (arrival, arrival))  # Spark reads the oldest file first
    sink = Rows(lambda: meanwhile(inputs / f"{LATE}.json", checkpoint))
    job = find("user-clicks")
    source = Folder(inputs, files_per_batch=1)
    options = Options(job.trigger, once=True, checkpoint=str(checkpoint), source=source, sinks=(sink,))
    reports: list[BatchReport] = []
    notices: list[str] = []
    listener = Listener(batch=reports.append, notice=notices.append)
    Runner(spark, Settings(), job, options, listener=listener, stopping=threading.Event()).run()
    return reports, [line for line in notices if "late events" in line]


def test_dropped_events_are_reported_by_window(spark: SparkSession, tmp_path: Path) -> None:
    reports, notices = run(spark, tmp_path, nothing)
    assert [report.late for report in reports] == [0, 0, sum(BY_WINDOW.values()), 0]
    assert reports[LATE].late_by_window == BY_WINDOW
    assert notices == []


@pytest.mark.parametrize(
    ("meanwhile", "cause"),
    [(moved, "Path does not exist"), (unreadable, "ChecksumException"), (without_offsets, "is damaged")],
    ids=["a file that was moved away", "a file that cannot be read", "a checkpoint that cannot be read"],
)
def test_a_committed_batch_that_cannot_be_read_again_is_reported_by_sparks_own_number(
    spark: SparkSession, tmp_path: Path, meanwhile: Callable[[Path, Path], None], cause: str
) -> None:
    reports, notices = run(spark, tmp_path, meanwhile)
    assert [(report.events, report.late) for report in reports] == [(1, 0), (1, 0), (3, BY_SPARK), (1, 0)]
    assert reports[LATE].late_by_window == {}
    [notice] = notices
    assert notice.startswith(f"the late events of batch {LATE} could not be counted by window: ")
    assert cause in notice
    assert "\n" not in notice
