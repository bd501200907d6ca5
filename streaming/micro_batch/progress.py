"""Report a committed batch, from Spark's own progress. Only this progress has the lag.

Spark keeps its offsets in the checkpoint and commits none to Kafka, so a consumer group's lag says nothing here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from common.kafka.topic_ends import Ends, held_back
from common.lateness.delays import LONGEST_WAIT, SHARES, Delays, percentile, text, within_reach
from streaming.lateness.counts import Late
from streaming.micro_batch.writer import Batches

_WINDOWS_SHOWN = 3


@dataclass(frozen=True)
class State:
    """The state of a stateful operator: rows (None if they are not counted), memory, and files of RocksDB."""

    rows: int | None
    memory: int
    disk: int


@dataclass(frozen=True)
class BatchReport:
    """One committed batch: its messages as `events`, wall-clock seconds, lag in messages; None for unknown values.

    `lag` counts up to the high watermark. `held_back` of these messages are in open transactions or behind them. `ends`
    has the end of each partition after the commit, if Kafka could be asked.

    `late` counts each event once. `late_by_window` (UTC) counts it in each of its windows, and `late_delays` by the
    lateness that would have kept it. `late_option` is the job's option for the lateness. `dropped_by_watermark` is
    Spark's count, of groups if the pattern aggregates; `alarm` says that it should be 0.

    `sink_seconds` is the time in which rows were computed and written. `progress` is Spark's own, as parsed JSON.
    """

    batch_id: int
    events: int
    seconds: float | None
    rows: int
    duplicates: int
    late: int
    dead: int
    lag: int | None
    watermark: str
    dropped_by_watermark: int
    alarm: bool = False
    late_by_window: Mapping[datetime, int] = field(default_factory=dict)
    late_delays: Delays = field(default_factory=dict)
    late_option: str = "watermark"
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    sink_seconds: float = 0.0
    progress: Mapping[str, Any] = field(default_factory=dict, repr=False)
    ends: Mapping[int, Ends] = field(default_factory=dict, repr=False)

    @property
    def held_back(self) -> int:
        return held_back(self.ends)

    def __str__(self) -> str:
        parts = [
            f"batch {self.batch_id}",
            f"{self.events:,} events{self._pace()}",
            f"{self.rows:,} rows written",
            self._lag(),
        ]
        if self.duplicates:
            parts.append(f"{self.duplicates:,} duplicates")
        if self.late:
            details = "; ".join(each for each in (self._windows(), self._would_have_kept()) if each)
            parts.append(f"{self.late:,} late{details and f' ({details})'}")
        if self.dead:
            parts.append(f"{self.dead:,} dead-lettered")
        if self.alarm:
            parts.append(f"ALARM: Spark's watermark dropped {self.dropped_by_watermark:,} groups that should count")
        return " · ".join(parts)

    def _pace(self) -> str:
        if self.seconds is None:
            return ", done again"
        rate = f"{self.events / self.seconds:,.0f}/s" if self.seconds else "-"
        return f" in {self.seconds:.1f} s ({rate})"

    def _lag(self) -> str:
        if self.lag is None:
            return "lag unknown"
        held = f" ({self.held_back:,} of it held back by open transactions)" if self.held_back else ""
        return f"lag {self.lag:,}{held}"

    def _windows(self) -> str:
        if not self.late_by_window:
            return ""
        counts = sorted(self.late_by_window.items())
        shown = ", ".join(f"{start:%Y-%m-%d %H:%M:%S}: {count:,}" for start, count in counts[:_WINDOWS_SHOWN])
        more = f", and {len(counts) - _WINDOWS_SHOWN} more" if len(counts) > _WINDOWS_SHOWN else ""
        return f"window {shown}{more}"

    def _would_have_kept(self) -> str:
        """Return the delays as text. Delays that are equal appear once, with the larger share."""
        if not self.late_delays:
            return ""
        near, beyond = within_reach(self.late_delays)
        if not near:
            return f"by more than {text(LONGEST_WAIT)}, a wrong clock or unit: no {self.late_option} is a remedy"
        shares = {percentile(near, per_mille): SHARES[per_mille] for per_mille in (990, 999)}
        (shortest, share), *longer = shares.items()
        more = "".join(f", {text(delay)} {larger}" for delay, larger in longer)
        others = f", leaving aside {beyond:,} by more than {text(LONGEST_WAIT)}" if beyond else ""
        return f"a {self.late_option} of {text(shortest)} would have kept {share}{more}{others}"


def reports(query: StreamingQuery, *, after: int, writer: Batches) -> Iterator[BatchReport]:
    """Return reports of the batches committed since batch `after`, oldest first."""
    for progress in _since(query, after):
        # An idle trigger also reports progress, under the id of the next batch.
        if progress["batchId"] > after and "addBatch" in progress["durationMs"]:
            yield _report(progress, writer)


def _since(query: StreamingQuery, after: int) -> list[Any]:
    """Return Spark's progress documents after batch `after`, as far as Spark still keeps them.

    The search goes backwards from the newest document, because each costs a call into the JVM. PySpark's
    `recentProgress` asks for all hundred, and a job without data would do that five times a second. The documents are
    parsed from JSON, because PySpark's own objects hold the offsets as the text of a Python dict.
    """
    kept: Any = query._jsq.recentProgress()
    found: list[Any] = []
    for place in reversed(range(len(kept))):
        progress = json.loads(kept[place].json())
        # An idle trigger reports the id of the next batch. If that id follows `after`, every batch before it is known.
        if progress["batchId"] <= after + ("addBatch" not in progress["durationMs"]):
            break
        found.insert(0, progress)
    return found


def with_ends(report: BatchReport, ends: Mapping[int, Ends]) -> BatchReport:
    """Return the report with messages held back by open transactions; Spark asks for committed messages only."""
    lag = None if report.lag is None else report.lag + held_back(ends)
    return replace(report, lag=lag, ends=ends)


def partitions(report: BatchReport) -> dict[str, dict[str, int]]:
    """Return for each partition the offset after the batch (`end`), the newest (`latest`), and the number between.

    If Kafka was asked after the commit, the answer also has the number of `held_back` messages.
    """
    found = _known_to_spark(report.progress)
    for number, ends in report.ends.items():
        if at := found.get(str(number)):
            held = ends.held_back
            at |= {"latest": at["latest"] + held, "lag": at["lag"] + held, "held_back": held}
    return found


def _known_to_spark(progress: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for source in progress.get("sources", ()):
        ends, latest = source.get("endOffset"), source.get("latestOffset")
        if not isinstance(ends, dict) or not isinstance(latest, dict):
            continue  # files and sockets have no lag
        for topic, offsets in ends.items():
            if isinstance(offsets, dict):
                for partition, end in offsets.items():
                    newest = max(end, latest.get(topic, {}).get(partition, end))
                    found[partition] = {"end": end, "latest": newest, "lag": newest - end}
    return found


def watermark_of(report: BatchReport) -> datetime | None:
    """Return the watermark.

    None before the first event, and if the job has none: then Spark says 1970.
    """
    if not report.watermark:
        return None
    watermark = datetime.fromisoformat(report.watermark)
    return watermark if watermark.timestamp() > 0 else None


def newest_event(report: BatchReport) -> datetime | None:
    """Return the newest event time of the batch.

    None if the job has no watermark, or the batch no events.
    """
    newest = report.progress.get("eventTime", {}).get("max")
    return datetime.fromisoformat(newest) if newest else None


def state(progress: Mapping[str, Any]) -> dict[str, State]:
    """Return the state by operator. A second operator of the same name gets a number."""
    found: dict[str, State] = {}
    for operator in progress.get("stateOperators", ()):
        name = operator["operatorName"]
        same = sum(each.split(" ")[0] == name for each in found)
        key = f"{name} {same + 1}" if same else name
        disk = operator["customMetrics"].get("rocksdbSstFileSize")
        # RocksDB reports 0 unless it counts (streaming.spark.session).
        rows = operator["numRowsTotal"] or (0 if disk is None else None)
        found[key] = State(rows, operator["memoryUsedBytes"], disk or 0)
    return found


def iso(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def figures(report: BatchReport, now: datetime) -> dict[str, Any]:
    """Return the report as JSON has it, in `/progress` and in the log. `now` is the time of the batch's commit."""
    progress = report.progress
    watermark = watermark_of(report)
    input_rate, processed_rate = rates(report)
    operators = state(progress).values()
    rows = [kept.rows for kept in operators]
    return {
        "batch_id": report.batch_id,
        "at": iso(now),
        "events": report.events,
        "seconds": report.seconds,
        "rows": report.rows,
        "duplicates": report.duplicates,
        "late": report.late,
        "dead": report.dead,
        "dead_by_reason": dict(report.dead_by_reason),
        "lag": report.lag,
        "watermark": None if watermark is None else iso(watermark),
        "phases_ms": progress.get("durationMs", {}),
        "sink_seconds": round(report.sink_seconds, 3),
        "state_rows": None if None in rows else sum(each or 0 for each in rows),
        "state_bytes": sum(kept.memory for kept in operators),
        "state_disk_bytes": sum(kept.disk for kept in operators),
        "input_rate": input_rate,
        "processed_rate": processed_rate,
    }


def rates(report: BatchReport) -> tuple[float, float]:
    """Return the rates of arrival and of processing, in events a second. Spark's rates count rows of the source."""
    progress = report.progress
    rows = progress.get("numInputRows") or 0
    each = report.events / rows if rows else 1.0
    return each * progress.get("inputRowsPerSecond", 0.0), each * progress.get("processedRowsPerSecond", 0.0)


def replayed(batch_id: int, writer: Batches) -> BatchReport:
    """Return a report of a committed batch that Spark did not report: duration and remaining lag are unknown."""
    written = writer.written[batch_id]
    late = written.late
    return with_late(
        BatchReport(
            batch_id,
            written.messages,
            None,
            written.rows,
            0,
            0,
            written.dead,
            None,
            watermark="",
            dropped_by_watermark=0,
            dead_by_reason=written.dead_by_reason,
            sink_seconds=written.seconds,
        ),
        late,
    )


def with_late(report: BatchReport, late: Late) -> BatchReport:
    """Return the report with these late events in addition."""
    return replace(report, late=report.late + late.events, late_by_window=late.by_window, late_delays=late.delays)


def _report(progress: Any, writer: Batches) -> BatchReport:  # noqa: ANN401 - parsed JSON
    operators = progress["stateOperators"]
    written = writer.of(progress)
    if written and written.ends:
        progress = {**progress, "sources": [_with_newest(source, written.ends) for source in progress["sources"]]}
    judged = progress.get("observedMetrics", {}).get("judged") or {}
    report = BatchReport(
        batch_id=progress["batchId"],
        # Spark counts rows of the source. For a folder these are files.
        events=written.messages if written else progress["numInputRows"],
        seconds=progress["durationMs"].get("triggerExecution", 0) / 1_000,
        rows=written.rows if written else 0,
        duplicates=sum(_custom(operator, "numDroppedDuplicateRows") for operator in operators),
        late=0,
        dead=judged.get("dead") or 0,
        lag=_lag(progress["sources"]),
        watermark=progress.get("eventTime", {}).get("watermark", ""),
        dropped_by_watermark=sum(operator["numRowsDroppedByWatermark"] for operator in operators),
        dead_by_reason=written.dead_by_reason if written else {},
        sink_seconds=written.seconds if written else 0.0,
        progress=progress,
    )
    return with_late(report, written.late) if written else report


def _with_newest(source: Mapping[str, Any], ends: Mapping[int, int]) -> dict[str, Any]:
    """Return Spark's report of a source with these ends of its topic as the newest offsets.

    For a real-time batch Spark reports the ends at its start, which give no lag at its end.
    """
    newest = {str(partition): end for partition, end in ends.items()}
    return {**source, "latestOffset": dict.fromkeys(source["endOffset"] or {}, newest)}


def _custom(operator: Any, metric: str) -> int:  # noqa: ANN401
    return int(operator["customMetrics"].get(metric, 0))


def _lag(sources: Any) -> int | None:  # noqa: ANN401
    """Return the lag. None if the known end of the topic is older than the batch (real-time mode, with Kafka down)."""
    behind = [_total(source["latestOffset"]) - _total(source["endOffset"]) for source in sources]
    return None if any(each < 0 for each in behind) else sum(behind)


def _total(offsets: Any) -> int:  # noqa: ANN401
    """Return the sum of a Kafka source's offsets; 0 for other sources, which have no offsets."""
    by_topic = offsets if isinstance(offsets, dict) else {}
    return sum(offset for topic in by_topic.values() if isinstance(topic, dict) for offset in topic.values())
