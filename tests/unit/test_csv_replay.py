"""The CSV source: the event of a row, and the error of a bad row."""

import bz2
import csv
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import BadInput
from common.text.csv_rows import BadRow, Form
from common.text.text_input import LONGEST_LINE
from producer.csv_replay import COLUMNS, CsvReplay
from producer.timeline import EPOCH
from tests import forms

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


def test_ids_come_from_content_not_from_when_it_is_sent(tmp_path: Path) -> None:
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


def test_a_row_on_top_of_an_export_changes_no_other_id(tmp_path: Path) -> None:
    rows = [f"ad-{n % 3},2025-01-31T10:00:{n:02}Z,1,20,0.75\n" for n in range(20)]
    newest = "ad-9,2025-01-31T10:05:00Z,1,20,0.75\n"

    def ids(lines: list[str], now_ms: int | None = None) -> dict[str, str]:
        records = replay(tmp_path, HEADER + "".join(lines), now_ms=now_ms)
        return {line: record.event["event_id"] for line, record in zip(lines, records, strict=True)}

    before = ids(rows)
    assert ids([newest, *rows], NOW).items() > before.items()
    assert ids(rows[5:]).items() < before.items()
    assert ids(rows[::-1]) == before


def test_the_id_of_a_row_is_that_of_its_values_however_it_is_written(tmp_path: Path) -> None:
    (one,) = replay(tmp_path, HEADER + "a,2025-01-31T10:00:00Z,1,20,0.75\n")
    (other,) = replay(
        tmp_path,
        "COST;Views;CLICKS;x;Timestamp;ad_ID\n7.50e-1;20;1;y;2025-01-31 11:00:00.000+01;a\n",
        form=Form(";", ignore_extra=True),
    )
    assert one == other
    assert one.event["event_id"] == "2ebd1b4a32962160e14a5028"
    for row in (
        "b,2025-01-31T10:00:00Z,1,20,0.75",
        "a,2025-01-31T10:00:00.001Z,1,20,0.75",
        "a,2025-01-31T10:00:00Z,2,20,0.75",
        "a,2025-01-31T10:00:00Z,1,21,0.75",
        "a,2025-01-31T10:00:00Z,1,20,0.76",
    ):
        (third,) = replay(tmp_path, HEADER + row)
        assert third.event["event_id"] != one.event["event_id"]


def test_equal_rows_of_a_file_are_counted_and_the_rest_keeps_its_ids(tmp_path: Path) -> None:
    row, other = "a,2025-01-31T10:00:00Z,1,2,0\n", "b,2025-01-31T10:00:00Z,1,2,0\n"
    once = [record.event["event_id"] for record in replay(tmp_path, HEADER + row + other)]
    thrice = [record.event["event_id"] for record in replay(tmp_path, HEADER + row + row + other + row)]
    assert [thrice[0], thrice[2]] == once
    assert len(set(thrice)) == 4


@pytest.mark.parametrize(("text", "millis"), forms.TIMES.items())
def test_a_documented_time_is_sent_as_it_is(tmp_path: Path, text: str, millis: int) -> None:
    (record,) = replay(tmp_path, f"{HEADER}a,{text},1,2,0\n")
    assert record.event["timestamp"] == millis


def field_of(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def refused(folder: Path, row: str) -> str:
    """Return the error for a file with this row in line 2. There must be no other effect."""
    with pytest.raises(BadInput) as stopped:
        replay(folder, HEADER + row)
    assert " line 2: " in stopped.value.problem
    return stopped.value.problem


@pytest.mark.parametrize("text", forms.NO_TIMES, ids=forms.named)
def test_any_other_time_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    assert "is not ISO 8601, like 2025-01-31T10:00:00Z" in refused(tmp_path, f"a,{field_of(text)},1,2,0\n")


def test_a_number_is_no_time_and_is_told_why(tmp_path: Path) -> None:
    said = refused(tmp_path, "a,1740121600000,1,2,0\n")
    assert said.endswith(
        "line 2: timestamp '1740121600000' is not ISO 8601, like 2025-01-31T10:00:00Z; a number does not say its unit"
    )
    for outside in ("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0001-01-01"):
        assert "is not within the years 1970 to 9999" in refused(tmp_path, f"a,{outside},1,2,0\n")


@pytest.mark.parametrize(("text", "number"), forms.WHOLE.items())
def test_a_whole_number_is_sent_as_it_is(tmp_path: Path, text: str, number: int) -> None:
    (record,) = replay(tmp_path, f"{HEADER}a,2025-01-31,{text}, {text}\t,0\n")
    assert (record.event["clicks"], record.event["views"]) == (number, number)


@pytest.mark.parametrize(("text", "number"), forms.DECIMAL.items())
def test_a_cost_is_sent_as_it_is(tmp_path: Path, text: str, number: float) -> None:
    (record,) = replay(tmp_path, f"{HEADER}a,2025-01-31,1,2,{text}\n")
    assert record.event["cost"] == number


@pytest.mark.parametrize("text", forms.NOT_WHOLE, ids=forms.named)
def test_what_is_no_whole_number_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    assert "clicks " in refused(tmp_path, f"a,2025-01-31,{field_of(text)},2,0\n")
    assert "is not a whole number from 0 to 2147483647" in refused(tmp_path, f"a,2025-01-31,1,{field_of(text)},0\n")


@pytest.mark.parametrize("text", forms.NOT_DECIMAL, ids=forms.named)
def test_what_is_no_cost_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    said = refused(tmp_path, f"a,2025-01-31,1,2,{field_of(text)}\n")
    assert "is not a number from 0 to 1,000,000" in said or "has more digits than a double keeps" in said
    assert ("write a point, not a comma" in said) == ("," in text)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
                lambda text: text.strip(" \t")
            ),
            st.integers(0, 253_402_300_799_999),
            st.integers(0, 2**31 - 1),
            st.integers(0, 2**31 - 1),
            st.floats(0, 1e6),
        ),
        max_size=5,
    ),
    st.permutations(COLUMNS),
    st.sampled_from([",", ";", "|", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([lambda data: data, gzip.compress, bz2.compress, lzma.compress]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_a_csv_writer_writes_is_read_again(
    rows: list[tuple[str, int, int, int, float]], header: list[str], delimiter: str, encoding: str,
    packed: Callable[[bytes], bytes], end: str,
) -> None:  # fmt: skip
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    events = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for event in events:
        time = (EPOCH + timedelta(milliseconds=event["timestamp"])).isoformat()
        writer.writerow([{**event, "timestamp": time}[name] for name in header])
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(packed(out.getvalue().encode(encoding)))
        file.flush()
        records = list(CsvReplay(Path(file.name), None, form=Form(delimiter)))
    found = [{name: record.event[name] for name in COLUMNS} for record in records]
    assert found == [{**event, "ad_id": event["ad_id"].strip(" \t")} for event in events]
    assert len({record.event["event_id"] for record in records}) == len(rows)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,2025-01-31,1,2,0,", "6 columns instead of 5"),
        ("a", "1 columns instead of 5"),
        ('"a,2025-01-31,1,2,0\nb,2025-01-31,1,2,0"', "1 columns instead of 5, in lines 2 to 3"),
        (",,,,", "ad_id is empty"),
        ('" ",2025-01-31,1,2,0', "ad_id is empty"),
        ("a\0b,2025-01-31,1,2,0", "ad_id has a NUL character"),
        ("\u00e4" * 257 + ",2025-01-31,1,2,0", "ad_id is longer than 512 bytes"),
        ('"a"b,2025-01-31,1,2,0', "',' expected after '\"'"),
        ('a,"2025-01-31\n",1,2,0', "is not ISO 8601"),
    ],
)
def test_a_row_out_of_shape_is_refused_with_its_line(tmp_path: Path, row: str, reason: str) -> None:
    assert reason in refused(tmp_path, f"{row}\nb,2025-01-31,1,2,0\n")


def test_a_line_break_in_quotes_is_part_of_the_cell_and_lines_are_counted_on(tmp_path: Path) -> None:
    text = HEADER + '"a\nb",2025-01-31,1,2,0\n\nc,2025-01-31,x,2,0\n'
    skipped: list[BadRow] = []
    (record,) = replay(tmp_path, text, skip=skipped.append)
    assert record.key == "a\nb"
    assert [row.line for row in skipped] == [5]


@pytest.mark.parametrize(
    "rest", ['"a,2025-01-31,1,2,0\nb,2025-01-31,1,2,0\n', '"a,2025-01-31,1,2,0\n"b",2025-01-31,1,2,0\n']
)
def test_a_quote_that_nothing_closes_is_never_skipped(tmp_path: Path, rest: str) -> None:
    with pytest.raises(BadInput, match="line 3: a quote is opened, and nothing closes it as it must"):
        replay(tmp_path, f"{HEADER}c,2025-01-31,1,2,0\n{rest}", skip=lambda _row: None)


@pytest.mark.parametrize(
    ("header", "problem", "remedy"),
    [
        ("ad_id,timestamp,clicks,views", "cost is missing", "add or correct it"),
        ("ad_id,timestamp,clicks,views,cost,cost", "cost is there twice", "add or correct it"),
        ("ad_id,timestamp,clicks,views,cost,COST", "cost is there twice", "add or correct it"),
        ("ad_id,timestamp,clicks,views,cost,country", "'country' is no column of it", "--extra-columns ignore"),
        ("ad_id,timestamp,clicks,views,cost,", "'' is no column of it", "--extra-columns ignore"),
        ("ad_id;timestamp;clicks;views;cost", "it has ';' between its columns", "--delimiter ';'"),
        ("ad_id\ttimestamp\tclicks\tviews\tcost", "it has tab between its columns", "--delimiter tab"),
        ("ad_id|timestamp|clicks|views|cost", "it has '|' between its columns", "--delimiter '|'"),
        ("sep=;\nad_id;timestamp;clicks;views;cost", "it is Excel's line about its separator", "delete that line"),
        ('"ad_id,timestamp', "unexpected end of data", "add or correct it"),
        ("\n" + HEADER, "ad_id is missing", "add or correct it"),
        (HEADER.encode("utf-16-le").decode(), "it has NUL characters, as UTF-16 without a byte order mark", "as UTF-8"),
    ],
)
def test_a_header_that_does_not_fit_says_what_helps(tmp_path: Path, header: str, problem: str, remedy: str) -> None:
    with pytest.raises(BadInput, match="line 1 is not the header ad_id,timestamp,clicks,views,cost: ") as stopped:
        replay(tmp_path, f"{header}\n")
    assert stopped.value.problem.endswith(problem)
    assert remedy in stopped.value.remedy


def test_further_columns_are_passed_over_if_that_is_asked(tmp_path: Path) -> None:
    text = 'note,cost,AD_ID,x,clicks, Views ,timestamp,x\n"a\n""b""",0.5,a,,1,2,2025-01-31,\n'
    (record,) = replay(tmp_path, text, form=Form(ignore_extra=True))
    assert (record.key, record.event["cost"]) == ("a", 0.5)
    with pytest.raises(BadInput, match="line 2: 7 columns instead of 8"):
        replay(tmp_path, text[:-2] + "\n", form=Form(ignore_extra=True))


def test_rows_of_more_than_fifty_years_cannot_be_moved_to_now(tmp_path: Path) -> None:
    text = HEADER + "a,1970-01-01,1,2,0\nb,9999-01-01,1,2,0\n"
    with pytest.raises(BadInput, match="its oldest one is before 1970"):
        replay(tmp_path, text, now_ms=NOW)
    assert len(list(replay(tmp_path, text))) == 2


def test_a_file_that_changes_while_it_is_sent_is_noticed(tmp_path: Path) -> None:
    records = replay(tmp_path, HEADER + "a,2025-01-31,1,2,0\n" * 3)
    sent = iter(records)
    next(sent)
    with (tmp_path / "events.csv").open("a") as file:
        file.write("b,2025-01-31,1,2,0\n")
    with pytest.raises(BadInput, match="changed while it was read"):
        list(sent)
    with pytest.raises(BadInput, match="changed while it was read"):
        list(records)


@pytest.mark.parametrize(
    "text",
    ["ad_id,clicks\n", HEADER + "a,never,1,2,0\n", HEADER + 'a,"2025\n', HEADER + "a" * (LONGEST_LINE + 1)],
    ids=["the header", "a row", "a quote", "a line"],
)
def test_an_error_leaves_nothing_open_however_long_it_is_kept(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput) as kept:
        replay(tmp_path, text)
    still_open = [each.path for each in psutil.Process().open_files()].count(str(tmp_path / "events.csv"))
    assert still_open == 1, kept  # the replay itself, which the error's traceback keeps


def test_the_file_in_the_repository_is_good() -> None:
    records = list(CsvReplay(MOCK_DATA, NOW))
    assert len(records) == 60
    assert len({record.key for record in records}) == 4
    assert max(record.event["timestamp"] for record in records) == NOW
