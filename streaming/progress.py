"""What a committed batch did, from Spark's own progress: also the only place to learn the lag from.

Spark keeps its offsets in the checkpoint and commits none to Kafka, so the lag of a consumer group says nothing here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from streaming.batch import BatchWriter

_WINDOWS_SHOWN = 3


@dataclass(frozen=True)
class BatchReport:
    """One committed batch: wall-clock seconds, lag in events; `late` by window where the pattern has windows (UTC).

    `dropped_by_watermark` is Spark's count, of groups where the pattern aggregates; `alarm` says that it should be 0.
    """

    batch_id: int
    events: int
    seconds: float
    rows: int
    duplicates: int
    late: int
    dead: int
    lag: int
    watermark: str
    dropped_by_watermark: int
    alarm: bool = False
    late_by_window: dict[datetime, int] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = f"{self.events / self.seconds:,.0f}/s" if self.seconds else "-"
        parts = [
            f"batch {self.batch_id}",
            f"{self.events:,} events in {self.seconds:.1f} s ({rate})",
            f"{self.rows:,} rows written",
            f"lag {self.lag:,}",
        ]
        if self.duplicates:
            parts.append(f"{self.duplicates:,} duplicates")
        if self.late:
            parts.append(f"{self.late:,} late{self._windows()}")
        if self.dead:
            parts.append(f"{self.dead:,} dead-lettered")
        if self.alarm:
            parts.append(f"ALARM: Spark's watermark dropped {self.dropped_by_watermark:,} groups that should count")
        return " · ".join(parts)

    def _windows(self) -> str:
        if not self.late_by_window:
            return ""
        counts = sorted(self.late_by_window.items())
        shown = ", ".join(f"{start:%Y-%m-%d %H:%M:%S}: {count:,}" for start, count in counts[:_WINDOWS_SHOWN])
        more = f", and {len(counts) - _WINDOWS_SHOWN} more" if len(counts) > _WINDOWS_SHOWN else ""
        return f" (window {shown}{more})"


def reports(query: StreamingQuery, *, after: int, writer: BatchWriter) -> Iterator[BatchReport]:
    """Reports of the batches committed since batch `after`, oldest first."""
    newest = query.lastProgress
    if newest is None or newest["batchId"] <= after:
        return
    # As JSON: PySpark's own objects hold the offsets as the text of a Python dict.
    for progress in (json.loads(each.json) for each in query.recentProgress):
        # An idle trigger reports progress too, under the id of the batch that will come.
        if progress["batchId"] > after and "addBatch" in progress["durationMs"]:
            yield _report(progress, writer)


def replayed(batch_id: int, events: int, writer: BatchWriter) -> BatchReport:
    """The report of a committed batch that Spark gave none of."""
    written = writer.written[batch_id]
    return BatchReport(
        batch_id, events, 0.0, written.rows, 0, written.late, written.dead, lag=0, watermark="", dropped_by_watermark=0
    )


def _report(progress: Any, writer: BatchWriter) -> BatchReport:  # noqa: ANN401 - parsed JSON
    operators = progress["stateOperators"]
    written = writer.written.get(progress["batchId"])
    observed = progress.get("observedMetrics", {})
    judged, kept = observed.get("judged") or {}, observed.get("late") or {}
    return BatchReport(
        batch_id=progress["batchId"],
        events=progress["numInputRows"],
        seconds=progress["durationMs"].get("triggerExecution", 0) / 1_000,
        rows=written.rows if written else 0,
        duplicates=sum(_custom(operator, "numDroppedDuplicateRows") for operator in operators),
        late=(judged.get("late") or 0) + (kept.get("late") or 0),
        dead=judged.get("dead") or 0,
        lag=sum(_behind(source) for source in progress["sources"]),
        watermark=progress.get("eventTime", {}).get("watermark", ""),
        dropped_by_watermark=sum(operator["numRowsDroppedByWatermark"] for operator in operators),
    )


def _custom(operator: Any, metric: str) -> int:  # noqa: ANN401
    return int(operator["customMetrics"].get(metric, 0))


def _behind(source: Any) -> int:  # noqa: ANN401
    return _total(source["latestOffset"]) - _total(source["endOffset"])


def _total(offsets: Any) -> int:  # noqa: ANN401
    """Offsets of a Kafka source, summed; other sources do not tell how far behind they are."""
    by_topic = offsets if isinstance(offsets, dict) else {}
    return sum(offset for topic in by_topic.values() if isinstance(topic, dict) for offset in topic.values())
