"""Settle a committed real-time batch: publish its dead letters, and count its late events.

A micro-batch does both before its commit (streaming.micro_batch.writer). In real-time mode nothing happens between a
batch's last row and its commit. So the checkpoint notes the last settled batch, and a starting driver first settles the
batches after that. A dead letter comes when its batch ends; none is missing. Each batch is judged by the schemas of the
plan that has computed it (streaming.real_time.starts).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame

from common.errors import AdstreamError
from streaming.events.judge import only_dead_letters
from streaming.job import Job
from streaming.lateness.counts import Late, by_windows, pairs_again
from streaming.micro_batch.late_batches import LateBatches
from streaming.micro_batch.pipeline import Pipeline
from streaming.micro_batch.running_counts import observed_in
from streaming.micro_batch.writer import Written
from streaming.real_time.starts import Starts
from streaming.recovery.checkpoint import Checkpoint
from streaming.sinks.sink import Stamp

NOTE = "settled"


class Settling:
    """Settles the batches of one query, as a Batches. `written` has the result of the last settled batch.

    `unknown_ids` are that batch's schema ids outside the plan; their messages are dead letters.
    """

    def __init__(
        self,
        job: Job,
        checkpoint: Checkpoint,
        late: LateBatches,
        *,
        pipeline: Pipeline,
        messages_again: Callable[[int], DataFrame | None],
        publish: Callable[[DataFrame], None],
        timestamps: Callable[[], int],
        ends: Callable[[], Mapping[int, int]],
    ) -> None:
        """`pipeline` is the query's plan, and `messages_again(batch_id)` reads a batch's messages once more.

        `ends()` returns the present ends of the topic's partitions. The other arguments are BatchWriter's.
        """
        self._job, self._checkpoint, self._late = job, checkpoint, late
        self._pipeline, self._messages_again, self._publish = pipeline, messages_again, publish
        self._timestamps, self._ends = timestamps, ends
        self.error: Exception | None = None
        self.written: dict[int, Written] = {}
        self.unknown_ids: tuple[int, ...] = ()
        # The newest batch before those of this query.
        self._before = -1

    def of(self, progress: Mapping[str, Any]) -> Written:
        """Settle the committed batch that Spark reports, and note it."""
        batch_id = int(progress["batchId"])
        if batch_id in self.written:
            return self.written[batch_id]
        ends = self._present_ends()
        metrics = progress.get("observedMetrics", {})
        seen = observed_in(metrics.get("judged") or {}, metrics.get("late") or {})
        stamp = self._stamp()
        if seen.dead:
            self._publish_dead(batch_id)
        late = self._late.running(batch_id, seen, stamp)
        rows = max(0, int(progress.get("sink", {}).get("numOutputRows", 0)))
        self.written = {
            batch_id: Written(rows, late, seen.dead, stamp, 0.0, seen.dead_by_reason, seen.messages, ends),
        }
        self.unknown_ids = seen.unknown_ids if seen.unknown else ()
        self._checkpoint.mark(NOTE, batch_id)
        return self.written[batch_id]

    def _present_ends(self) -> Mapping[int, int]:
        """Return the present ends of the topic's partitions; empty if Kafka does not answer."""
        with suppress(AdstreamError):
            return self._ends()
        return {}

    def catch_up(self) -> None:
        """Settle batches that were committed before this query and not settled then.

        Nobody has reported their contents. Call this before the query notes its start. Each start settles all batches
        before it, so these batches are of the newest noted start, and are judged by the schemas of its plan.
        """
        last = self._checkpoint.marked(NOTE)
        self._before = -1 if last is None else last
        schemas = Starts(self._checkpoint).schemas()
        planned = self._pipeline if schemas is None else replace(self._pipeline, writers=schemas)
        for batch_id in self._checkpoint.committed_after(self._before):
            if (messages := self._messages_again(batch_id)) is not None:
                self._settle(batch_id, planned.judged(messages))
            self._checkpoint.mark(NOTE, batch_id)
            self._before = batch_id

    def _settle(self, batch_id: int, judged: DataFrame) -> None:
        self._publish(only_dead_letters(judged))
        if self._job.lateness is not None:
            late: Late = by_windows(pairs_again(judged, self._job), self._job)
            self._late.write(batch_id, late, self._stamp())

    def committed(self) -> int:
        """Return how many batches Spark has committed since `catch_up`, settled or not."""
        return len(self._checkpoint.committed_after(self._before))

    def _publish_dead(self, batch_id: int) -> None:
        if (messages := self._messages_again(batch_id)) is not None:
            self._publish(only_dead_letters(self._pipeline.judged(messages)))

    def _stamp(self) -> Stamp:
        return Stamp(datetime.now(UTC), self._timestamps())
