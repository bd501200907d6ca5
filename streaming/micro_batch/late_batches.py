"""Late events of each batch: counted by window, and written to the table `late_events` by jobs that have tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from common.errors import AdstreamError
from common.settings import CassandraSettings
from streaming.job import Job
from streaming.lateness import late_events
from streaming.lateness.counts import Late, by_windows, count_late, exact, pairs_again
from streaming.micro_batch.counting import counted
from streaming.micro_batch.progress import BatchReport, with_late
from streaming.micro_batch.running_counts import Observed
from streaming.micro_batch.writer import Written
from streaming.recovery.causes import line
from streaming.recovery.checkpoint import Checkpoint
from streaming.sinks.sink import Stamp

# What reading a batch again, and reading its checkpoint, can raise.
_FAILURES = (AdstreamError, PySparkException, Py4JJavaError)


@dataclass(frozen=True)
class LateBatches:
    """The late events of one job's batches.

    `judged_again` reads a batch's messages once more, if possible; `table` is the destination.
    """

    job: Job
    checkpoint: Checkpoint
    judged_again: Callable[[int], DataFrame | None]
    table: CassandraSettings | None
    notice: Callable[[str], None]

    def running(self, batch_id: int, seen: Observed, stamp: Stamp) -> Late:
        """Return the running batch's late events, by window if the job decides lateness.

        Writes these to the job's table first. Raises SinkError if that fails.
        """
        if self.job.lateness is None or not seen.late:
            return Late(seen.late)
        pairs = seen.late_pairs
        if not exact(pairs, seen.late):
            messages = self.judged_again(batch_id)
            if messages is None:
                return Late(seen.late)
            pairs = pairs_again(messages, self.job)
        late = by_windows(pairs, self.job)
        self.write(batch_id, late, stamp)
        return late

    def committed(self, report: BatchReport, written: Mapping[int, Written]) -> BatchReport:
        """Return the report with the events dropped by Spark's watermark, and write their counts.

        The batch is committed, and these counts are only a report. So a failure is a notice, and the job goes on.
        Without the batch's messages only Spark's own number is known.
        """
        report = replace(report, late_option=self.job.late_option)
        dropped = report.dropped_by_watermark
        if not dropped or self.job.lateness is not None:
            return replace(report, alarm=dropped > 0)
        late = self._dropped(report.batch_id)
        if late is None:
            return with_late(report, Late(dropped))
        try:
            self.write(report.batch_id, late, written[report.batch_id].stamp)
        except _FAILURES as error:
            self.notice(f"the late events of batch {report.batch_id} are missing from the table: {line(error)}")
        return with_late(report, late)

    def _dropped(self, batch_id: int) -> Late | None:
        """Count the events that Spark dropped from a committed batch.

        None if the batch cannot be read again: its service is away, its messages have aged out, or a file has gone.
        """
        try:
            messages = self.judged_again(batch_id)
            if messages is None:
                return None
            return count_late(counted(messages), self.job, self.checkpoint.late_before(batch_id))
        except _FAILURES as error:
            self.notice(f"the late events of batch {batch_id} could not be counted by window: {line(error)}")
            return None

    def write(self, batch_id: int, late: Late, stamp: Stamp) -> None:
        """Upsert the batch's part of each window, if the job has tables. Raises SinkError."""
        if self.table is not None:
            late_events.write(self.table, late, self.job.name, self.checkpoint.id, batch_id, stamp)
