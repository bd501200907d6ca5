"""The line of a batch: late events, and the lateness that would have kept them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from common.kafka.topic_ends import Ends
from streaming.lateness.counts import Late
from streaming.micro_batch.progress import BatchReport, figures, partitions, replayed, reports, with_ends, with_late
from streaming.micro_batch.writer import Written
from streaming.monitoring.monitor import Monitor
from streaming.sinks.sink import Stamp
from tests.unit.test_endpoint import PROGRESS

START = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = BatchReport(7, 1_000, 2.0, 50, 0, 0, 0, 0, "", 0, late_option="lateness")


def batches(written: dict[int, Written]) -> Any:
    return SimpleNamespace(written=written, of=lambda progress: written.get(progress["batchId"]))


def test_nothing_late_is_not_mentioned() -> None:
    assert str(PLAIN) == "batch 7 · 1,000 events in 2.0 s (500/s) · 50 rows written · lag 0"


def test_late_events_are_told_by_window_and_by_what_would_have_kept_them() -> None:
    windows = {START + timedelta(minutes=nth): {840: 200} for nth in range(4)} | {START: {840: 5, 1_260: 3}}
    report = with_late(PLAIN, Late(608, windows, {}))
    assert str(report).endswith(
        " · lag 0 · 608 late (window 2026-01-01 00:00:00: 8, 2026-01-01 00:01:00: 200, 2026-01-01 00:02:00: 200, and 1"
        " more; a lateness of 14m would have kept 99 %, 21m 99.9 %)"
    )


def test_of_few_events_the_longest_delay_keeps_both_shares() -> None:
    report = with_late(PLAIN, Late(2, {START: {840: 1, 1_260: 1}}, {}))
    assert str(report).endswith("2 late (window 2026-01-01 00:00:00: 2; a lateness of 21m would have kept 99.9 %)")


def test_the_advice_leaves_aside_what_no_lateness_would_keep() -> None:
    month, fifty_six_years = 30 * 86_400, 20_454 * 86_400
    near = {840: 97, 1_260: 2}
    some = with_late(PLAIN, Late(100, {START: {**near, month: 1, month + 3_600: 1, fifty_six_years: 4}}, {}))
    assert str(some).endswith("a lateness of 21m would have kept 99 %, 30d 99.9 %, leaving aside 5 by more than 30d)")
    none = with_late(PLAIN, Late(5, {START: {fifty_six_years: 5}}, {}))
    assert "by more than 30d, a wrong clock or unit: no lateness is a remedy)" in str(none)
    assert "would have kept" not in str(none)


def test_a_replayed_batch_says_what_is_not_known() -> None:
    stamp = Stamp(START, 1)
    writer: Any = SimpleNamespace(written={3: Written(50, Late(0), 2, stamp, 1.5, {"short": 2}, messages=1_000)})
    report = replayed(3, writer)
    assert str(report) == "batch 3 · 1,000 events, done again · 50 rows written · lag unknown · 2 dead-lettered"
    told = figures(report, START)
    assert (told["events"], told["seconds"], told["lag"]) == (1_000, None, None)
    json.dumps(told, allow_nan=False)
    metrics = Monitor("ad-metrics", "ads", timedelta(seconds=3)).metrics
    metrics.batch(report)
    text = metrics.exposed()[0].decode()
    assert 'adstream_events_total{job="ad-metrics"} 1000.0' in text
    assert "adstream_lag_events{" not in text
    assert 'adstream_batch_duration_seconds_count{job="ad-metrics"} 0.0' in text


def test_the_lag_goes_to_the_high_watermark_and_says_what_is_held_back() -> None:
    at = {0: Ends(650, 656), 1: Ends(400, 400)}
    report = with_ends(replace(PLAIN, lag=50, progress=PROGRESS), at)
    assert " · lag 56 (6 of it held back by open transactions)" in str(report)
    assert partitions(report) == {
        "0": {"end": 600, "latest": 656, "lag": 56, "held_back": 6},
        "1": {"end": 400, "latest": 400, "lag": 0, "held_back": 0},
    }


def test_of_a_folder_events_are_counted_and_not_files() -> None:
    progress = PROGRESS | {"batchId": 0, "numInputRows": 2, "inputRowsPerSecond": 1.0, "processedRowsPerSecond": 4.0}
    writer = batches({0: Written(5, Late(0), 0, Stamp(START, 1), messages=7)})
    idle = {"customMetrics": {}, "numRowsDroppedByWatermark": 0}
    progress["stateOperators"] = [each | idle for each in PROGRESS["stateOperators"]]
    document = SimpleNamespace(json=lambda: json.dumps(progress))
    query: Any = SimpleNamespace(_jsq=SimpleNamespace(recentProgress=lambda: [document]))
    [report] = reports(query, after=-1, writer=writer)
    assert str(report).startswith("batch 0 · 7 events in 4.0 s (2/s) · 5 rows written")
    told = figures(report, START)
    assert (told["input_rate"], told["processed_rate"]) == (3.5, 14.0)


def test_the_lag_is_unknown_where_kafka_was_last_asked_before_the_batch() -> None:
    sources = [{"endOffset": {"ads": {"0": 600, "1": 400}}, "latestOffset": {"ads": {"0": 20, "1": 400}}}]
    progress = PROGRESS | {"batchId": 0, "numInputRows": 980, "stateOperators": [], "sources": sources}
    document = SimpleNamespace(json=lambda: json.dumps(progress))
    query: Any = SimpleNamespace(_jsq=SimpleNamespace(recentProgress=lambda: [document]))
    [report] = reports(query, after=-1, writer=batches({}))
    assert " · lag unknown" in str(report)
    assert partitions(report)["0"] == {"end": 600, "latest": 600, "lag": 0}


def test_the_lag_goes_to_the_ends_that_kafka_was_asked_for_after_a_real_time_batch() -> None:
    sources = [{"endOffset": {"ads": {"0": 600, "1": 400}}, "latestOffset": {"ads": {"0": 20, "1": 400}}}]
    progress = PROGRESS | {"batchId": 0, "stateOperators": [], "sources": sources}
    document = SimpleNamespace(json=lambda: json.dumps(progress))
    query: Any = SimpleNamespace(_jsq=SimpleNamespace(recentProgress=lambda: [document]))
    writer = batches({0: Written(5, Late(0), 0, Stamp(START, 1), messages=1_000, ends={0: 630, 1: 407})})
    [report] = reports(query, after=-1, writer=writer)
    assert " · lag 37" in str(report)
    assert partitions(report) == {
        "0": {"end": 600, "latest": 630, "lag": 30},
        "1": {"end": 400, "latest": 407, "lag": 7},
    }


def test_where_only_the_number_is_known_there_is_only_the_number() -> None:
    assert str(with_late(PLAIN, Late(3))).endswith(" · 3 late")


@pytest.mark.parametrize(
    ("after", "told", "read"),
    [
        (3, [4, 5], 6),  # a poll that missed two batches
        (4, [5], 4),
        (5, [], 1),  # nothing new: idle triggers are not searched
    ],
)
def test_progress_is_read_from_the_newest_back_to_the_last_batch_told(after: int, told: list[int], read: int) -> None:
    batch = {"numInputRows": 1, "durationMs": {"addBatch": 1}, "stateOperators": [], "sources": []}
    idle = {"numInputRows": 0, "durationMs": {"latestOffset": 1}}
    kept = [batch | {"batchId": 3}, batch | {"batchId": 4}, idle | {"batchId": 5}, batch | {"batchId": 5}]
    kept += [idle | {"batchId": 6}] * 2
    asked: list[int] = []

    def document(progress: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(json=lambda: asked.append(progress["batchId"]) or json.dumps(progress))

    query: Any = SimpleNamespace(_jsq=SimpleNamespace(recentProgress=lambda: [document(each) for each in kept]))
    writer = batches({})
    assert [report.batch_id for report in reports(query, after=after, writer=writer)] == told
    assert len(asked) == read
