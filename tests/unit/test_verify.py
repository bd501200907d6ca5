"""The pieces of `adstream verify`, without services: rows that move, the ledger, acknowledged places, baselines."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adstream.verify import acknowledged, baseline, ledger
from adstream.verify.judge import Judged
from adstream.verify.offsets import JobCheckpoint
from adstream.verify.oracle import BEYOND, NO_WINDOW, TOTALS, WINDOWS, Oracle
from adstream.verify.tables import _FOUND, Comparison, _found, compare
from adstream.verify.topic import GAPS, GAPS_FOLDER, Piece, table
from common.errors import BadInput, CheckpointError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MILLIS = int(NOW.timestamp() * 1_000)
LONG_AGO = NOW - timedelta(days=30)
MINUTE, HALF = timedelta(minutes=1), timedelta(seconds=30)


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    folder = tmp_path / "oracle"
    folder.mkdir()
    with closing(Oracle(folder, window=MINUTE, slide=HALF, dedupe=True)) as made:
        yield made


def put(oracle: Oracle, *messages: Judged, boundary: int = 0, arrival: int = MILLIS, checksum: int = 0) -> None:
    folder = Path(oracle.rows("SELECT current_setting('temp_directory')")[0][0])
    rows = table([(*each, boundary, arrival, checksum) for each in messages])
    pq.write_table(rows, folder / f"{len(list(folder.iterdir()))}.parquet")


def event(offset: int, ad: str = "a", views: int = 1, event_id: str | None = None, **place: int) -> Judged:
    return Judged(place.get("partition", 0), offset, "counted", ad, MILLIS, 1, views, 10, event_id)


def found(oracle: Oracle, ad: str, clicks: int, views: int, cost: str, average: str | None) -> None:
    """Add the rows of an ad whose events are all at NOW: a total and two windows."""
    for name, start in ((TOTALS, NO_WINDOW), (WINDOWS, MILLIS), (WINDOWS, MILLIS - 30_000)):
        row = {"name": name, "ad_id": ad, "start": start, "clicks": clicks, "views": views, "cost": cost}
        oracle.append("found", pa.Table.from_pylist([{**row, "average": average}], schema=_FOUND))


def compared(oracle: Oracle, **how: Any) -> Comparison:
    oracle.compute()
    return compare(oracle, oldest=how.pop("oldest", LONG_AGO), **how)


@pytest.mark.parametrize("events", [1, 2, 3])
def test_a_row_that_moves_may_have_the_value_of_any_batch_that_ran(oracle: Oracle, events: int) -> None:
    for boundary in range(3):
        put(oracle, event(boundary), boundary=boundary)
    found(oracle, "a", events, events, str(10 * events), "10")
    assert compared(oracle) == Comparison(rows=3, cells=12, moving=3)


def test_a_row_that_mixes_the_values_of_two_batches_differs(oracle: Oracle) -> None:
    put(oracle, event(0), boundary=0)
    put(oracle, event(1), boundary=1)
    found(oracle, "a", 2, 1, "10", "10")
    result = compared(oracle)
    assert (result.different, result.moving) == (3, 3)
    assert result.differences[0].startswith("ad_metrics a: views is 1, must be 2, or what it was before")


def test_a_row_may_be_absent_only_if_it_is_new(oracle: Oracle) -> None:
    put(oracle, event(0, "old"), boundary=0)
    put(oracle, event(1, "new"), boundary=1)
    result = compared(oracle)
    assert (result.rows, result.different, result.moving) == (6, 3, 3)
    assert result.differences[0] == "ad_metrics old: missing"


def test_a_row_that_nobody_computes_differs(oracle: Oracle) -> None:
    found(oracle, "ghost", 0, 0, "0", None)
    assert compared(oracle).differences[0] == "ad_metrics ghost: only in the table"


def test_what_counts_is_the_first_by_batch_and_not_by_place(oracle: Oracle) -> None:
    put(oracle, event(0, views=5, event_id="e"), boundary=1)
    put(oracle, event(9, views=1, event_id="e", partition=1), boundary=0)
    found(oracle, "a", 1, 1, "10", "10")
    assert compared(oracle).different == 0


def test_each_cell_that_differs_is_named(oracle: Oracle) -> None:
    put(oracle, event(0, views=3), event(1, views=0))
    found(oracle, "a", 2, 3, "21", "7")
    assert compared(oracle).differences[:3] == [
        "ad_metrics a: cost is 0.000021, must be 0.000020",
        f"{WINDOWS} a 2026-03-01T11:59:30+00:00: cost is 0.000021, must be 0.000020",
        f"{WINDOWS} a 2026-03-01T12:00:00+00:00: cost is 0.000021, must be 0.000020",
    ]


@pytest.mark.parametrize("average", ["6", None])
def test_a_wrong_average_beside_right_sums_differs(oracle: Oracle, average: str | None) -> None:
    put(oracle, event(0, views=2), event(1, views=2))
    found(oracle, "a", 2, 4, "20", average)
    shown = "None" if average is None else "0.000006"
    assert compared(oracle).differences[0] == f"ad_metrics a: average is {shown}, must be 0.000005"


def test_an_average_without_views_differs(oracle: Oracle) -> None:
    put(oracle, event(0, views=0))
    found(oracle, "a", 1, 0, "10", "10")
    assert compared(oracle).differences[0] == "ad_metrics a: average is 0.000010, must be None"


def test_the_average_is_rounded_half_up_and_a_finer_cost_differs(oracle: Oracle) -> None:
    put(oracle, event(0, views=4))
    row = type("Row", (), {"ad_id": "a", "total_clicks": 1, "total_views": 4})()
    row.total_cost, row.avg_cost_per_view = Decimal("0.00001"), Decimal("0.000003")
    assert _found(TOTALS, row)[3:] == (1, 4, "10", "3")
    found(oracle, "a", 1, 4, "10", "3")
    assert compared(oracle).different == 0
    row.total_cost = Decimal("0.0000100001")
    assert _found(TOTALS, row)[5] not in ("10", None)


def test_windows_that_the_ttl_may_have_removed_are_left_out_on_both_sides(oracle: Oracle) -> None:
    put(oracle, event(0))
    assert compared(oracle, oldest=NOW - timedelta(seconds=1)).rows == 2
    assert compared(oracle, oldest=NOW, with_totals=False).rows == 0


def settled(oracle: Oracle, end: int, letters_from: int = 0) -> ledger.Ledger:
    oracle.compute()
    return ledger.settle(oracle, topic="ads", begins={0: 0}, read={0: 0}, ends={0: end}, letters_from=letters_from)


def letter(oracle: Oracle, offset: int, reason: str, *, current: bool = True, arrival: int = MILLIS) -> None:
    oracle.append("letters", pa.Table.from_pylist([
        {"partition": 0, "offset": offset, "arrival": arrival, "reason": reason, "current": current, "published": 1}
    ], schema=ledger._LETTERS))  # fmt: skip


def test_every_offset_has_one_fate(oracle: Oracle) -> None:
    put(oracle, event(0, event_id="e"), event(1, event_id="e"), Judged(0, 2, "late"), Judged(0, 3, "dead"))
    put(oracle, event(4), boundary=1)
    put(oracle, event(5), boundary=BEYOND)
    letter(oracle, 3, "short")
    result = settled(oracle, 4)
    assert result.fates == {"counted": 1, "duplicate": 1, "late": 1, "dead": 1}
    assert (result.unexplained, result.offsets, result.puzzles) == (0, 4, [])


def test_gaps_and_letters_that_do_not_fit_are_unexplained(oracle: Oracle) -> None:
    put(oracle, event(2), event(3), Judged(0, 4, "dead"), Judged(0, 5, "late"), event(8))
    letter(oracle, 3, "short")
    letter(oracle, 5, "short", current=False)
    letter(oracle, 8, "short", arrival=MILLIS - 1)
    result = settled(oracle, 10)
    assert result.puzzles == [
        "ads/0/0 to 1: not in the topic",
        "ads/0/6 to 7: not in the topic",
        "ads/0/9: not in the topic",
        "ads/0/3: counted, but the job wrote a dead letter: short",
        "ads/0/4: dead, but without a dead letter",
    ]
    assert (result.unexplained, result.fates) == (7, {"counted": 2, "duplicate": 0, "late": 1, "dead": 0})


def gap(oracle: Oracle, first: int, last: int, boundary: int = 0) -> None:
    folder = Path(oracle.rows("SELECT current_setting('temp_directory')")[0][0]) / GAPS_FOLDER
    pq.write_table(table([(0, first, last, boundary)], GAPS), folder / f"{first}.parquet")


def test_what_the_broker_has_passed_over_is_not_a_message(oracle: Oracle) -> None:
    put(oracle, event(2), event(3), event(8))
    gap(oracle, 0, 1)
    gap(oracle, 4, 7)
    gap(oracle, 9, 40, boundary=BEYOND)
    letter(oracle, 1, "short", current=False)
    result = settled(oracle, 11)
    assert (result.fates["counted"], result.not_messages, result.unexplained) == (3, 6, 2)
    assert result.all_fates == {"counted": 3, "duplicate": 0, "late": 0, "dead": 0, "not_a_message": 6}
    assert result.puzzles == ["ads/0/9 to 10: not in the topic"]


def test_a_letter_about_no_message_is_unexplained(oracle: Oracle) -> None:
    put(oracle, event(0))
    gap(oracle, 1, 3)
    letter(oracle, 2, "short")
    result = settled(oracle, 4)
    assert (result.not_messages, result.unexplained) == (2, 1)
    assert result.puzzles == ["ads/0/2: not a message, but the job wrote a dead letter: short"]


def test_a_letter_that_may_have_aged_out_is_not_missed(oracle: Oracle) -> None:
    put(oracle, Judged(0, 0, "dead"), arrival=MILLIS - 1)
    put(oracle, Judged(0, 1, "dead"), arrival=MILLIS)
    result = settled(oracle, 2, letters_from=MILLIS)
    assert (result.letters_aged_out, result.unexplained) == (1, 1)


def test_a_message_whose_schema_came_later_is_dead_as_the_job_said(oracle: Oracle) -> None:
    put(oracle, event(0), event(1))
    letter(oracle, 0, "unknown_schema_id")
    letter(oracle, 1, "unknown_schema_id", current=False)
    assert settled(oracle, 2).fates == {"counted": 1, "duplicate": 0, "late": 0, "dead": 1}


def test_acknowledged_places_are_looked_up(oracle: Oracle, tmp_path: Path) -> None:
    put(oracle, event(5), event(6), event(7), checksum=0xDEADBEEF)
    file = tmp_path / "acked"
    file.write_text(
        "ads 0 4 deadbeef\nads 0 5 deadbeef\nads 0 6 00000001\nads 0 8 deadbeef\nads 7 0 00000000\nads 0 9 de"
    )
    assert acknowledged.load(oracle, [file], "ads") == {0: (4, 8), 7: (0, 0)}
    result = acknowledged.check(oracle, "ads", {0: 5})
    assert (result.places, result.aged_out, result.missing) == (5, 1, 3)
    assert result.lines == [
        "ads/0/6: acknowledged, but other bytes lie there",
        "ads/0/8: acknowledged, but not in the topic",
        "ads/7/0: acknowledged, but not in the topic",
    ]


@pytest.mark.parametrize("text", ["other 0 4 deadbeef\n", "ads 0 four deadbeef\n", "ads 0\n"])
def test_a_file_that_is_not_about_the_topic_is_refused(oracle: Oracle, tmp_path: Path, text: str) -> None:
    file = tmp_path / "acked"
    file.write_text(text)
    with pytest.raises(BadInput, match="acked"):
        acknowledged.load(oracle, [file], "ads")


def test_a_pipe_of_acknowledged_places_is_refused_at_once(oracle: Oracle, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadInput, match="fifo is not a regular file, and is read more than once; write it into a file"):
        acknowledged.load(oracle, [tmp_path / "fifo"], "ads")


def test_an_offset_belongs_to_the_batch_that_ends_after_it() -> None:
    piece = Piece(0, 10, 30, 0, steps=(12, 12, 20, 30))
    assert [piece.boundary_of(offset) for offset in (10, 11, 12, 19, 20, 29)] == [1, 1, 3, 3, 4, 4]
    assert Piece(0, 10, 30, 0).boundary_of(29) == 0


def checkpoint(folder: Path, **changes: Any) -> JobCheckpoint:
    options = {
        "topic": "ads", "topic_id": "t", "dedupe": True,
        "window_seconds": 60.0, "slide_seconds": 30.0, "lateness_seconds": 600.0, **changes,
    }  # fmt: skip
    for name, text in {
        "adstream.json": json.dumps(options),
        "metadata": '{"id": "query"}',
        "sources/0/0": '\0v1\n{"ads":{"0":0}}',
        "offsets/0": 'v1\n{"batchWatermarkMs":0}\n{"ads":{"0":2}}',
        "offsets/1": 'v1\n{"batchWatermarkMs":0}\n{"ads":{"0":5,"1":3}}',
        "commits/0": 'v1\n{"nextBatchWatermarkMs":0}',
    }.items():
        file = folder / "checkpoint" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return JobCheckpoint(folder / "checkpoint")


def test_a_checkpoint_tells_what_was_committed_and_what_is_in_flight(tmp_path: Path) -> None:
    job = checkpoint(tmp_path)
    assert job.committed().ends == {0: 2}
    assert [(batch.number, batch.ends) for batch in job.begun_after(0)] == [(1, {0: 5, 1: 3})]
    (tmp_path / "checkpoint/commits/0").unlink()
    with pytest.raises(CheckpointError, match="no committed batch"):
        job.committed()
    (tmp_path / "checkpoint/metadata").unlink()
    with pytest.raises(CheckpointError, match="not a checkpoint of a job"):
        JobCheckpoint(tmp_path / "checkpoint")


def kept(job: JobCheckpoint, oracle: Oracle, end: int, now: datetime = NOW, arrivals: datetime = NOW) -> None:
    baseline.keep(job, oracle, ends={0: end}, now=now, oldest=NOW - timedelta(seconds=1), arrivals=arrivals)


def test_from_a_baseline_the_result_is_the_same(oracle: Oracle, tmp_path: Path) -> None:
    job = checkpoint(tmp_path)
    old = MILLIS - int((baseline.CLOCKS + timedelta(minutes=10)) / timedelta(milliseconds=1)) - 1
    put(oracle, event(0, event_id="e"), event(1, event_id="e"), Judged(0, 2, "late"))
    put(oracle, Judged(0, 3, "counted", "a", old, 1, 1, 10, "forgotten"))
    gap(oracle, 4, 6)
    oracle.compute()
    kept(job, oracle, 7)
    again = tmp_path / "again"
    again.mkdir()
    with closing(Oracle(again, window=MINUTE, slide=HALF, dedupe=True)) as later:
        start = baseline.newest(job, {0: 3}, {0: 9})
        assert start is not None
        start.load(later)
        put(later, event(7, event_id="e"), event(8, event_id="f"))
        found(later, "a", 3, 3, "30", "10")
        later.db.execute(f"UPDATE found SET clicks = 2, views = 2, cost = '20' WHERE name = '{WINDOWS}'")
        later.db.execute(f"DELETE FROM found WHERE start = {MILLIS - 30_000}")
        assert compared(later, oldest=NOW - timedelta(seconds=1)) == Comparison(rows=2, cells=8)
        assert later.rows("SELECT event_id FROM known_ids") == [("e",)]
        result = ledger.settle(later, topic="ads", begins={0: 0}, read={0: 7}, ends={0: 9}, letters_from=0)
    assert (result.fates, result.unexplained) == ({"counted": 3, "duplicate": 2, "late": 1, "dead": 0}, 0)
    assert result.not_messages == 3


def test_the_newest_baseline_that_fits_is_taken(oracle: Oracle, tmp_path: Path) -> None:
    job = checkpoint(tmp_path)
    oracle.compute()
    for day, end in enumerate((10, 20, 30, 40)):
        kept(job, oracle, end, NOW + timedelta(days=day))
    folder = tmp_path / "checkpoint.baselines"
    assert len(list(folder.iterdir())) == baseline.KEPT
    (folder / "99990101T000000Z.duckdb").write_bytes(b"broken")

    def ends(begin: int, committed: int) -> int | None:
        start = baseline.newest(job, {0: begin}, {0: committed})
        return start and start.ends[0]

    assert [ends(0, 100), ends(0, 39), ends(20, 29), ends(25, 29), ends(41, 100)] == [40, 30, 20, None, None]
    assert baseline.newest(checkpoint(tmp_path, lateness_seconds=60.0), {0: 0}, {0: 100}) is None


def test_a_baseline_is_never_half_written(oracle: Oracle, tmp_path: Path) -> None:
    job = checkpoint(tmp_path)
    with pytest.raises(duckdb.CatalogException):  # nothing was computed
        kept(job, oracle, 1)
    assert baseline.newest(job, {0: 0}, {0: 1}) is None
