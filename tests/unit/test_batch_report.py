"""The line about a batch: what was late, and what would have kept it."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.late import Late
from streaming.progress import BatchReport, reports, with_late

START = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = BatchReport(7, 1_000, 2.0, 50, 0, 0, 0, 0, "", 0, late_option="lateness")


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


def test_where_only_the_number_is_known_there_is_only_the_number() -> None:
    assert str(with_late(PLAIN, Late(3))).endswith(" · 3 late")


@pytest.mark.parametrize(
    ("after", "told", "read"),
    [
        (3, [4, 5], 6),  # a poll that missed two batches
        (4, [5], 4),
        (5, [], 1),  # nothing new since: the idle triggers are not gone through
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
    writer: Any = SimpleNamespace(written={})
    assert [report.batch_id for report in reports(query, after=after, writer=writer)] == told
    assert len(asked) == read
