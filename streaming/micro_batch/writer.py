"""The steps of one micro-batch before its commit.

The writer writes rows to the sinks. If messages are dead, it reads the batch again and publishes them to the
dead-letter topic. Then it writes counts of late events to `late_events`, and asks Kafka whether a partition has a new
leader. Only then does the function return, and Spark commits. Any error here leaves the batch uncommitted, and the
batch runs again with the same messages.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

from pyspark.sql import DataFrame

from streaming.events.judge import only_dead_letters
from streaming.lateness.counts import Late
from streaming.micro_batch.running_counts import Observed
from streaming.sinks.sink import Stamp, Write

# Spark keeps the progress of this many batches for late readers.
_REMEMBERED = 100


class StopRequested(Exception):
    """The user asked to stop. The batch that was about to begin has written nothing."""


class PlanAgain(Exception):
    """Not a failure: the query goes on from its checkpoint with a new plan."""


class NewWriterSchema(PlanAgain):
    """Messages of schemas that the registry has and the plan does not; the job must make a new plan."""


@dataclass(frozen=True)
class Written:
    """The result of a batch: rows in the sinks, number of messages, and counts of late and dead ones.

    `seconds` is the time in which Spark computed and wrote the rows, in one pass. `ends` are the ends of the topic's
    partitions after the batch, if somebody has asked Kafka.
    """

    rows: int
    late: Late
    dead: int
    stamp: Stamp
    seconds: float = 0.0
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    messages: int = 0
    ends: Mapping[int, int] = field(default_factory=dict)


class Batches(Protocol):
    """The results of a query's batches, as far as known, and the Python exception that has ended it."""

    error: Exception | None
    written: dict[int, Written]

    def of(self, progress: Mapping[str, Any], /) -> Written | None:
        """Return the result of the batch in Spark's progress report."""
        ...


class BatchWriter:
    """The function given to foreachBatch. After a failure `error` holds the Python exception that caused it."""

    def __init__(
        self,
        *,
        write: Write,
        observed: Callable[[], Observed],
        keep_late: Callable[[int, Observed, Stamp], Late],
        reread: Callable[[int], DataFrame | None],
        publish: Callable[[DataFrame], None],
        registered: Callable[[int, Sequence[int]], set[int]],
        timestamps: Callable[[], int],
        still_there: Callable[[], None],
        stopping: threading.Event,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`observed()` returns the counts of the running batch.

        `keep_late(batch_id, observed, stamp)` stores its late events. `reread(batch_id)` returns its judged messages.
        `registered(batch_id, ids)` returns the schemas for messages of unknown ids, the most frequent first.
        `timestamps()` returns the timestamp for the next batch's writes. `still_there()` raises if the batch's
        messages may be gone from their topic.
        """
        self._sink = write
        self._observed = observed
        self._keep_late = keep_late
        self._reread = reread
        self._publish = publish
        self._registered = registered
        self._timestamps = timestamps
        self._still_there = still_there
        self._stopping = stopping
        self._clock = clock
        self.error: Exception | None = None
        self.written: dict[int, Written] = {}

    def __call__(self, rows: DataFrame, batch_id: int) -> None:
        """Write one batch completely, or raise."""
        try:
            self._write(rows, batch_id)
        except Exception as error:
            self.error = error
            raise

    def of(self, progress: Mapping[str, Any]) -> Written | None:
        """Return the result, as Batches does."""
        return self.written.get(progress["batchId"])

    def _write(self, rows: DataFrame, batch_id: int) -> None:
        if self._stopping.is_set():
            raise StopRequested
        stamp = Stamp(self._clock(), self._timestamps())
        begun = monotonic()
        written = self._sink(rows, stamp)
        seconds = monotonic() - begun
        seen = self._observed()
        if seen.unknown and (new := self._registered(batch_id, seen.unknown_ids)):
            raise NewWriterSchema(f"schema id{'s' if len(new) > 1 else ''} {', '.join(map(str, sorted(new)))}")
        if seen.dead and (messages := self._reread(batch_id)) is not None:
            self._publish(only_dead_letters(messages))
        late = self._keep_late(batch_id, seen, stamp)
        self._still_there()
        self.written[batch_id] = Written(written, late, seen.dead, stamp, seconds, seen.dead_by_reason, seen.messages)
        if len(self.written) > _REMEMBERED:
            del self.written[min(self.written)]
