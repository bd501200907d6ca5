"""The listener of a running job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.held_back import Held


@dataclass(frozen=True)
class Listener:
    """Callbacks of the runner: `batch` after each committed batch, `notice` for other events.

    The runner calls `polled` a few times a second while a query runs, and `failed`, with the reason, before a retry. It
    calls `held_back`, by partition, after each question to Kafka. In real-time mode `applied` gets each report of the
    applying process, on another thread.
    """

    batch: Callable[[BatchReport], None]
    notice: Callable[[str], None]
    polled: Callable[[StreamingQuery], None] = lambda _query: None
    failed: Callable[[str], None] = lambda _reason: None
    held_back: Callable[[Mapping[int, Held]], None] = lambda _at: None
    applied: Callable[[Mapping[str, Any]], None] = lambda _figures: None
