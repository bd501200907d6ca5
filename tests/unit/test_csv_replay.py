"""The CSV source: what a row becomes, and what a bad one says."""

from pathlib import Path

import pytest

from adstream.errors import BadInput
from producer.csv_replay import BadRow, CsvReplay

HEADER = "ad_id,timestamp,clicks,views,cost\n"
MOCK_DATA = Path(__file__).parents[2] / "mock_data.csv"
NOW = 1_800_000_000_000


def replay(folder: Path, text: str, **options: object) -> CsvReplay:
    path = folder / "events.csv"
    path.write_text(text, encoding="utf-8")
    return CsvReplay(path, **({"now_ms": None} | options))  # type: ignore[arg-type]


def test_a_row_becomes_an_event(tmp_path: Path) -> None:
    (record,) = replay(tmp_path, HEADER + "ad-1,2025-01-31T10:00:00.123+01:00,1,20,0.75\n")
    assert record.key == "ad-1"
    assert record.event.pop("event_id")
    assert record.event == {"ad_id": "ad-1", "timestamp": 1_738_314_000_123, "clicks": 1, "views": 20, "cost": 0.75}


def test_columns_in_any_order_blank_lines_bom_and_times_without_zone(tmp_path: Path) -> None:
    text = "\ufeffcost, views ,clicks,timestamp,ad_id\n0.5,2,1,2025-01-31 09:00:00,a\n\n"
    (record,) = replay(tmp_path, text)
    assert record.event["timestamp"] == 1_738_314_000_000


def test_the_newest_row_moves_to_now_and_the_others_with_it(tmp_path: Path) -> None:
    rows = HEADER + "a,2025-01-31T10:00:10Z,1,2,0\nb,2025-01-31T10:00:20Z,1,2,0\nc,2025-01-31T10:00:15Z,1,2,0\n"
    moved = [record.event["timestamp"] for record in replay(tmp_path, rows, now_ms=NOW)]
    assert moved == [NOW - 10_000, NOW, NOW - 5_000]


def test_ids_come_from_content_and_place_not_from_when_it_is_sent(tmp_path: Path) -> None:
    rows = HEADER + "a,2025-01-31T10:00:10Z,1,2,0\na,2025-01-31T10:00:10Z,1,2,0\n"

    def ids(now_ms: int | None) -> list[str]:
        return [record.event["event_id"] for record in replay(tmp_path, rows, now_ms=now_ms)]

    assert ids(NOW) == ids(NOW + 1) == ids(None)
    assert len(set(ids(NOW))) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,2025-01-31T10:00:00Z,1,2", "4 columns instead of 5"),
        (",2025-01-31T10:00:00Z,1,2,0", "ad_id is empty"),
        ("a,yesterday,1,2,0", "timestamp 'yesterday' is not ISO 8601"),
        ("a,2025-01-31T10:00:00Z,-1,2,0", "clicks '-1' is not a whole number"),
        ("a,2025-01-31T10:00:00Z,1,2.5,0", "views '2.5' is not a whole number"),
        ("a,2025-01-31T10:00:00Z,1,2147483648,0", "views '2147483648' is not a whole number"),
        ("a,2025-01-31T10:00:00Z,1,2,much", "cost 'much' is not a number"),
        ("a,2025-01-31T10:00:00Z,1,2,nan", "cost 'nan' is not a number"),
        ("a,2025-01-31T10:00:00Z,1,2,-0.01", "cost '-0.01' is not a number"),
    ],
)
def test_a_bad_row_stops_before_anything_is_sent_or_is_skipped(tmp_path: Path, row: str, reason: str) -> None:
    text = f"{HEADER}a,2025-01-31T10:00:00Z,1,2,0\n{row}\nb,2025-01-31T10:00:00Z,1,2,0\n"
    with pytest.raises(BadInput, match="line 3: ") as stopped:
        replay(tmp_path, text)
    assert reason in stopped.value.problem
    skipped: list[BadRow] = []
    records = replay(tmp_path, text, skip=skipped.append)
    assert [record.key for record in records] == ["a", "b"]
    assert records.rows == 2
    assert [bad.line for bad in skipped] == [3]
    assert reason in skipped[0].reason


@pytest.mark.parametrize("text", ["", "ad_id,timestamp,clicks,views\n", "a,2025-01-31T10:00:00Z,1,2,0\n"])
def test_a_missing_header_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="line 1 is not the header"):
        replay(tmp_path, text)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        CsvReplay(tmp_path / "nowhere.csv", None)
    (tmp_path / "binary.csv").write_bytes(HEADER.encode() + b"\xff\xfe\x00\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        CsvReplay(tmp_path / "binary.csv", None, lambda _row: None)


def test_the_file_in_the_repository_is_good() -> None:
    records = list(CsvReplay(MOCK_DATA, NOW))
    assert len(records) == 60
    assert len({record.key for record in records}) == 4
    assert max(record.event["timestamp"] for record in records) == NOW
