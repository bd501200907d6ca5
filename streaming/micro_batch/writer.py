"""What happens to one micro-batch before it may be committed.

Rows go to the sinks, and how many of its events were late to the table of those; if any of its messages cannot be
counted, the batch is read again and those go to the dead-letter topic. Only then does the function return and Spark
commit. Whatever raises here leaves the batch uncommitted: it comes again, with the same messages.
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

# Spark keeps the progress of so many batches, for whoever reads it late.
_REMEMBERED = 100


class StopRequested(Exception):
    """The user asked to stop; the batch that was about to begin has written nothing."""


class PlanAgain(Exception):
    """No failure: the query goes on from its checkpoint with a plan that is made anew."""


class NewWriterSchema(PlanAgain):
    """Messages of schemas that the registry has and the plan does not; the plan must be made anew."""


@dataclass(frozen=True)
class Written:
    """What a batch left behind: rows in the sinks, how many messages it had, and which of them were late or dead.

    `seconds` went by while the rows were computed and written, which Spark does in one.
    """

    rows: int
    late: Late
    dead: int
    stamp: Stamp
    seconds: float = 0.0
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    messages: int = 0


class Batches(Protocol):
    """What a query's batches have written, as far as that is known, and the Python exception that has ended it."""

    error: Exception | None
    written: dict[int, Written]

    def of(self, progress: Mapping[str, Any], /) -> Written | None:
        """What the committed batch of Spark's progress report has written."""
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
        stopping: threading.Event,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`observed()`: what the running batch counted; `keep_late(batch_id, observed, stamp)`: writes its late events
        down; `reread(batch_id)`: its judged messages; `registered(batch_id, ids)`: the schemas that messages of unknown
        ids, the most frequent first, can be read with; `timestamps()`: the one for the next batch's writes."""
        self._sink = write
        self._observed = observed
        self._keep_late = keep_late
        self._reread = reread
        self._publish = publish
        self._registered = registered
        self._timestamps = timestamps
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
        """As Batches says."""
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
        self.written[batch_id] = Written(written, late, seen.dead, stamp, seconds, seen.dead_by_reason, seen.messages)
        if len(self.written) > _REMEMBERED:
            del self.written[min(self.written)]
