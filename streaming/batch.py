"""What happens to one micro-batch before it may be committed.

Rows go to the sinks, and how many of its events were late to the table of those; if any of its messages cannot be
counted, the batch is read again and those go to the dead-letter topic. Only then does the function return and Spark
commit. Whatever raises here leaves the batch uncommitted: it comes again, with the same messages.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from adstream.reasons import UNKNOWN_SCHEMA_ID
from streaming.judge import only_dead_letters
from streaming.late import Late
from streaming.observed import Observed
from streaming.sinks.dead_letters import schema_id
from streaming.sinks.sink import Stamp, Write

# Spark keeps the progress of so many batches, for whoever reads it late.
_REMEMBERED = 100


class StopRequested(Exception):
    """The user asked to stop; the batch that was about to begin has written nothing."""


class NewWriterSchema(Exception):
    """Messages written with schemas registered after the plan was made; the plan must be made anew."""


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
        registered_since: Callable[[], set[int]],
        timestamps: Callable[[], int],
        stopping: threading.Event,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`observed()`: what the running batch counted; `keep_late(batch_id, observed, stamp)`: writes its late events
        down; `reread(batch_id)`: its judged messages; `registered_since()`: the schema ids that the registry has and
        the plan does not know; `timestamps()`: the one for the next batch's writes."""
        self._sink = write
        self._observed = observed
        self._keep_late = keep_late
        self._reread = reread
        self._publish = publish
        self._registered_since = registered_since
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

    def _write(self, rows: DataFrame, batch_id: int) -> None:
        if self._stopping.is_set():
            raise StopRequested
        stamp = Stamp(self._clock(), self._timestamps())
        begun = monotonic()
        written = self._sink(rows, stamp)
        seconds = monotonic() - begun
        seen = self._observed()
        if seen.dead:
            self._dead_letter(batch_id, some_unknown=seen.unknown > 0)
        late = self._keep_late(batch_id, seen, stamp)
        self.written[batch_id] = Written(written, late, seen.dead, stamp, seconds, seen.dead_by_reason, seen.messages)
        if len(self.written) > _REMEMBERED:
            del self.written[min(self.written)]

    def _dead_letter(self, batch_id: int, *, some_unknown: bool) -> None:
        messages = self._reread(batch_id)
        if messages is None:
            return
        dead = only_dead_letters(messages)
        if some_unknown and (new := self._registered_since()):
            self._refuse_if_written_with(new, dead)
        self._publish(dead)

    def _refuse_if_written_with(self, new: set[int], dead: DataFrame) -> None:
        unknown = dead.where(F.col("outcome") == UNKNOWN_SCHEMA_ID).select(schema_id(F.col("value")).alias("id"))
        found = {int(row["id"]) for row in unknown.distinct().collect()} & new
        if found:
            raise NewWriterSchema(f"schema ids {sorted(found)}")
