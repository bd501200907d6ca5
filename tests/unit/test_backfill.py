"""A backfill's windows, the messages that it needs, and its error when they are missing."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adstream.backfill.closed import closed
from adstream.backfill.request import Request
from adstream.verify.judge import Judged
from adstream.verify.oracle import expect
from common.bookkeeping.backfills import Backfill, Span, among, event_times, spans
from common.errors import BadInput, ConfigError
from streaming.history.available import Kept, lost, needed, require_all
from streaming.history.recount import needed_times
from streaming.jobs import find

JOB = find("ad-metrics")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def done(start: datetime, end: datetime, upto: dict[int, int], *, late: bool = True) -> Backfill:
    return Backfill(1, start, end, late, upto, 0, 0, 0, NOON)


def pieces(*before: Backfill) -> list[tuple[float, float, dict[int, int]]]:
    """Return the pieces of two hours from noon on as (start, end, offsets), in minutes after noon."""
    found = spans(NOON, NOON + 2 * HOUR, before, longest=HOUR)
    return [((each.start - NOON) / MINUTE, (each.end - NOON) / MINUTE, dict(each.late_upto)) for each in found]


def test_a_range_is_taken_hour_by_hour() -> None:
    assert pieces() == [(0, 60, {}), (60, 120, {})]
    assert [each.end for each in spans(NOON, NOON + 90 * MINUTE, [], longest=HOUR)] == [NOON + HOUR, NOON + 90 * MINUTE]


def test_windows_with_late_events_counted_before_are_pieces_of_their_own() -> None:
    first = done(NOON - HOUR, NOON + 30 * MINUTE, {0: 5, 1: 9})
    second = done(NOON + 10 * MINUTE, NOON + 40 * MINUTE, {0: 7, 2: 1})
    assert pieces(first, second) == [
        (0, 10, {0: 5, 1: 9}),
        (10, 30, {0: 7, 1: 9, 2: 1}),
        (30, 40, {0: 7, 2: 1}),
        (40, 60, {}),
        (60, 120, {}),
    ]


def test_a_correction_without_late_events_leaves_no_mark() -> None:
    assert pieces(done(NOON, NOON + HOUR, {0: 5}, late=False)) == pieces()


def test_hundreds_of_corrections_are_few_spans_of_the_times_that_matter() -> None:
    hourly = [done(NOON + n * HOUR, NOON + (n + 1) * HOUR, {0: 100 * (n + 1), 1: 50}) for n in range(720)]
    # The messages of the last two hours: only the last two corrections had read any of them.
    last_two = among(hourly, {0: (71_800, 72_500)})
    assert event_times(last_two, reach=MINUTE) == [
        Span(NOON + 718 * HOUR, NOON + 719 * HOUR, {0: 71_900}),
        Span(NOON + 719 * HOUR, NOON + 720 * HOUR + MINUTE, {0: 72_000}),
    ]
    # All corrections had read the oldest messages, and so had one of the whole time afterwards.
    assert event_times(among(hourly, {0: (0, 100)}), reach=MINUTE) == [Span(NOON, NOON + 720 * HOUR + MINUTE, {0: 100})]
    whole = done(NOON, NOON + 720 * HOUR, {0: 80_000, 1: 80})
    assert event_times([*hourly, whole], reach=MINUTE) == [Span(NOON, NOON + 720 * HOUR + MINUTE, {0: 80_000, 1: 80})]
    assert event_times(among(hourly, {2: (0, 100)}), reach=MINUTE) == []


def test_the_spans_hold_the_same_late_events_as_the_corrections() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    def correction() -> Backfill:
        start = NOON + rng.randrange(20) * MINUTE
        upto = {partition: rng.randrange(12) for partition in range(3) if rng.random() < 0.8}
        return done(start, start + rng.randrange(1, 8) * MINUTE, upto, late=rng.random() < 0.8)

    for _ in range(100):
        before = [correction() for _ in range(rng.randrange(8))]
        reach = rng.randrange(3) * MINUTE
        ranges = {partition: (rng.randrange(6), rng.randrange(6, 12)) for partition in range(2)}
        found = event_times(among(before, ranges), reach=reach)
        assert all(one.end <= other.start for one, other in pairwise(found))
        for partition, (first, end) in ranges.items():
            for offset in range(first, end):
                for time in (NOON + n * MINUTE for n in range(-1, 32)):
                    must = any(
                        each.late and each.start <= time < each.end + reach and offset < each.upto.get(partition, 0)
                        for each in before
                    )
                    held = [span for span in found if span.start <= time < span.end]
                    assert any(offset < span.late_upto.get(partition, 0) for span in held) == must


def closed_of(request: Request, watermark: datetime, oldest: datetime = NOON - 30 * 24 * HOUR) -> Any:
    return closed(JOB, request, watermark, oldest=oldest, now=NOON + HOUR)


def test_only_whole_windows_before_the_watermark_are_closed() -> None:
    request = Request(NOON + SECOND, NOON + 10 * MINUTE)
    start, end, still_open = closed_of(request, NOON + 5 * MINUTE)
    assert start == NOON + 30 * SECOND
    # The last closed window begins at 12:04:00 and ends with the watermark.
    assert end == NOON + 4 * MINUTE + 30 * SECOND
    assert still_open == 11
    assert closed_of(request, NOON + HOUR) == (start, NOON + 10 * MINUTE, 0)
    assert closed_of(request, NOON + 5 * MINUTE - timedelta(milliseconds=1))[1] == NOON + 4 * MINUTE


def test_windows_that_the_table_may_have_forgotten_are_left_out() -> None:
    request = Request(NOON, NOON + 10 * MINUTE)
    assert closed_of(request, NOON + HOUR, oldest=NOON + 3 * MINUTE)[0] == NOON + 3 * MINUTE
    with pytest.raises(ConfigError, match=r"no window begins between .* that the table keeps"):
        closed_of(request, NOON + HOUR, oldest=NOON + HOUR)


def test_windows_that_are_all_open_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="none of these windows is closed yet: the job's watermark is at 2026-03-01T12:00"
    ):
        closed_of(Request(NOON, NOON + 10 * MINUTE), NOON)


def test_messages_are_read_from_when_an_id_may_have_come_first_until_nothing_is_on_time_any_more() -> None:
    since, until = needed_times(JOB, NOON, NOON + HOUR, ahead=MINUTE, state=21 * MINUTE)
    assert since == NOON - 44 * MINUTE
    assert until == NOON + HOUR + 11 * MINUTE


def test_offsets_are_bounded_by_what_the_job_read() -> None:
    kept = {0: Kept(0, 100, 10, 50), 1: Kept(0, 100, 10, 100), 2: Kept(0, 100, 100, 100)}
    committed = {0: 90, 1: 90, 2: 90}
    assert needed(kept, {}, committed, whole=False) == {0: (10, 50), 1: (10, 90)}
    assert needed(kept, {0: 20}, committed, whole=True) == {0: (20, 90), 1: (10, 90)}


class Place:
    name = "topic ads"

    def kept(self, since: datetime, until: datetime) -> dict[int, Kept]:
        raise AssertionError

    def read(self, ranges: object) -> Any:
        raise AssertionError


def test_messages_that_are_gone_are_missed_only_where_they_may_be_wanted() -> None:
    committed = {0: 90}
    assert lost({0: Kept(5, 100, 10, 50)}, {}, committed) == []
    assert lost({0: Kept(5, 100, 5, 50)}, {0: 5}, committed) == []
    assert lost({0: Kept(5, 100, 5, 50)}, {}, committed) == [0]
    assert lost({0: Kept(100, 100, 100, 100)}, {}, committed) == [0]
    with pytest.raises(BadInput, match=r"topic ads has aged out: .* partition 0 holds nothing any more; .*--archive"):
        require_all(Place(), {0: Kept(100, 100, 100, 100)}, {}, [0], NOON)


def test_an_archive_that_ends_too_early_is_refused() -> None:
    kept = {0: Kept(0, 80, 10, 80)}
    ranges = needed(kept, {}, {0: 90}, whole=False)
    with pytest.raises(BadInput, match="ends at offset 80 of partition 0, but messages up to 90 are needed"):
        require_all(Place(), kept, ranges, [], NOON)


def late(offset: int, seconds: int, event_id: str | None, outcome: str = "late", partition: int = 0) -> Judged:
    time = round((NOON + seconds * SECOND).timestamp() * 1_000)
    return Judged(partition, offset, outcome, "ad", time, 1, 2, 5, event_id)


def test_the_ledger_counts_late_events_that_a_backfill_has_counted_and_only_in_its_windows() -> None:
    messages = [
        late(0, 45, "a", "counted"),
        late(1, 45, "a"),  # the job counted this event in time
        late(2, 45, "b"),
        late(3, 45, "b"),  # a repetition
        late(4, 45, None),
        late(5, 45, None),  # beyond the offsets that the backfill read
        late(0, 45, None, partition=1),  # in a partition that the backfill did not read
        late(6, 300, None),  # in other windows
    ]
    found = expect(
        messages,
        window=MINUTE,
        slide=30 * SECOND,
        dedupe=True,
        backfills=[done(NOON + 30 * SECOND, NOON + MINUTE, {0: 5})],
    )
    clicks = {start: sums.clicks for (_, start), sums in found.windows.items()}
    assert clicks == {NOON: 1, NOON + 30 * SECOND: 3}
    assert found.totals["ad"].clicks == 1
    assert found.fates == {"counted": 1, "duplicate": 0, "late": 7, "dead": 0}
    assert found.backfilled == 2
