"""Places, letters, marks, repairs and the hex dump: the parts of `adstream dead-letters` that need no service."""

import io
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from adstream.cli import app
from adstream.dead_letters.dead_letter_pages import listing, page, plan_lines
from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.letters import Letter, Mark, Marks, Place, Wanted, iso, letter_of, missing, parse_place
from adstream.dead_letters.repair import parse_changes, repaired
from adstream.dead_letters.replay import Plan, plan
from adstream.dead_letters.topic_readers import TopicReader, reader_of
from common import contracts
from common.avro import wire
from common.errors import ConfigError, ReplayRefused
from common.registry import Registered
from common.settings import Settings
from common.text.hexdump import hexdump
from common.text.moments import parse_moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MILLIS = int(NOW.timestamp() * 1_000)
PLACE = Place("ads_data", 1, 4711)
CONTRACT = contracts.latest("ads_data")
WRITER = Registered(7, 2, CONTRACT.text)
READER = TopicReader("ad-metrics", CONTRACT, takes_json=False, lateness=timedelta(minutes=10))
GOOD = {"ad_id": "ad-1", "timestamp": MILLIS, "clicks": 1, "views": 2, "cost": 0.5, "event_id": "e"}


def encoded(**changes: Any) -> bytes:
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(CONTRACT.schema), {**GOOD, **changes})
    return wire.frame(7, payload.getvalue())


def diagnoser() -> Diagnoser:
    return Diagnoser("ads_data-value", {7: WRITER}, lambda _id: "{}", CONTRACT, takes_json=False)


class Registryless:
    """Checks letters against given schemas, without a registry."""

    def of(self, _letter: Letter) -> tuple[TopicReader, Diagnoser]:
        return READER, diagnoser()


def letter(value: bytes, place: Place = PLACE, reason: str = "clicks_negative", **headers: bytes) -> Letter:
    return Letter(place, reason, NOW, 7, "ad-metrics", len(value), b"ad-1", value, list(headers.items()), NOW)


class Message:
    """The part of a message that makes a letter. Only librdkafka can make the real class."""

    def __init__(self, headers: list[tuple[str, bytes]]) -> None:
        self._headers = headers

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def key(self) -> bytes:
        return b"ad-1"

    def value(self) -> bytes:
        return b"\x00"

    def timestamp(self) -> tuple[int, int]:
        return 2, MILLIS


OURS = [
    ("adstream.reason", b"short"), ("adstream.topic", b"ads_data"), ("adstream.partition", b"1"),
    ("adstream.offset", b"4711"), ("adstream.timestamp", b"2026-03-01T12:00:00.000Z"), ("adstream.job", b"ad-metrics"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["ads_data/1/4711", "ads_data:1:4711", "ads_data [1] @4711", "ads_data[1]@4711", "1/4711", " ads_data/1/4711 "],
)
def test_a_place_is_understood_in_each_of_its_spellings(text: str) -> None:
    assert parse_place(text, "ads_data") == PLACE


@given(st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True), st.integers(0, 9_999), st.integers(0, 2**62))
def test_every_place_is_read_as_it_is_written(topic: str, partition: int, offset: int) -> None:
    place = Place(topic, partition, offset)
    assert parse_place(str(place), "other") == place


@pytest.mark.parametrize("text", ["", "ads_data", "ads_data/1", "ads_data/x/1", "ads_data/1/-1", "a b/1/1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a place"):
        parse_place(text, "ads_data")


def test_a_letter_is_read_from_its_headers_and_keeps_the_originals_apart() -> None:
    found = letter_of(Message([("trace", b"1"), *OURS]))  # type: ignore[arg-type]
    assert found == Letter(PLACE, "short", NOW, None, "ad-metrics", 1, b"ad-1", b"\x00", [("trace", b"1")], NOW)


def test_a_replayed_message_that_died_again_has_the_newer_place() -> None:
    older = [(name, b"99" if name == "adstream.offset" else value) for name, value in OURS]
    found = letter_of(Message([*older, *OURS]))  # type: ignore[arg-type]
    assert found is not None
    assert found.place == PLACE
    assert found.headers == older


@pytest.mark.parametrize(
    "headers", [[], [("reason", b"x")], OURS[:3], [*OURS[:3], ("adstream.offset", b"x"), *OURS[4:]]]
)
def test_what_is_not_one_of_our_letters_is_none(headers: list[tuple[str, bytes]]) -> None:
    assert letter_of(Message(headers)) is None  # type: ignore[arg-type]


def test_letters_are_chosen_by_topic_reason_time_and_place() -> None:
    one = letter(b"")
    hour = timedelta(hours=1)
    assert all(
        wanted(one)
        for wanted in (
            Wanted(), Wanted(topic="ads_data"), Wanted(reason="clicks_negative"), Wanted(start=NOW),
            Wanted(start=NOW - hour, end=NOW + hour), Wanted(places=frozenset([PLACE])), Wanted(job="ad-metrics"),
            Wanted(since=NOW),
        )
    )  # fmt: skip
    assert not any(
        wanted(one)
        for wanted in (
            Wanted(topic="other"), Wanted(reason="short"), Wanted(start=NOW + hour), Wanted(end=NOW),
            Wanted(places=frozenset([Place("ads_data", 1, 4712)])), Wanted(job="ad-clicks"), Wanted(since=NOW + hour),
        )
    )  # fmt: skip


def test_a_place_without_a_letter_is_named() -> None:
    assert "there is no dead letter from ads/0/9" in str(missing(Place("ads", 0, 9), {}))


@pytest.mark.parametrize("arguments", [[], ["ads/0/1", "--all"], ["--reason", "undecodable", "--all"]])
def test_a_replay_names_its_letters_in_one_way(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="what to replay is not clear"):
        CliRunner().invoke(app, ["dead-letters", "replay", *arguments], catch_exceptions=False)


def test_a_mark_counts_for_its_own_letter_only() -> None:
    mark = Mark(iso(NOW), "ads_data/0/1", iso(NOW), {})
    marks = Marks({str(PLACE): mark})
    assert marks.of(letter(b"")) == mark
    assert marks.of(letter(b"", Place("ads_data", 1, 4712))) is None
    # The topic was deleted and made again, so another message has the same place.
    assert marks.of(replace(letter(b""), timestamp=NOW + timedelta(days=1))) is None


def test_a_moment_is_iso_8601_or_how_long_ago() -> None:
    assert parse_moment("--from", "2h", NOW) == NOW - timedelta(hours=2)
    assert parse_moment("--from", "2026-03-01T12:00:00", NOW) == NOW
    assert parse_moment("--from", "2026-03-01T13:00:00+01:00", NOW) == NOW
    with pytest.raises(ConfigError, match="--to yesterday is not a time"):
        parse_moment("--to", "yesterday", NOW)


def test_a_repair_changes_the_named_fields_and_no_other() -> None:
    value = encoded(clicks=-3)
    found = diagnoser()(value, [], MILLIS)
    changes = parse_changes(["clicks=0", "cost=1.25", "event_id=null", "timestamp=2026-03-01T11:59:00Z"])
    again = diagnoser()(repaired(value, found, changes, CONTRACT, NOW), [], MILLIS)
    assert again.reason is None
    assert again.event == {**GOOD, "clicks": 0, "cost": 1.25, "event_id": None, "timestamp": MILLIS - 60_000}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("klicks=0", "no field klicks; did you mean clicks"),
        ("clicks=many", "clicks=many is no int"),
        ("clicks=null", "clicks=null is no int"),
        ("clicks=3000000000", "is no int"),
        ("clicks=1_0", "clicks=1_0 is no int"),
        ("clicks=1.0", "clicks=1.0 is no int"),
        ("cost=0,5", "cost=0,5 is no double"),
        ("cost=nan", "cost=nan is no double"),
        ("timestamp=soon", "is no timestamp-millis"),
        ("timestamp=1740139200", "is no timestamp-millis"),
        ("timestamp=20250221", "is no timestamp-millis"),
        ("timestamp=2025-W08-5", "is no timestamp-millis"),
        ("clicks", "changes nothing"),
        ("=1", "changes nothing"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_in_one_line(change: str, says: str) -> None:
    value = encoded(clicks=-3)
    with pytest.raises(ConfigError, match=says):
        repaired(value, diagnoser()(value, [], MILLIS), parse_changes([change]), CONTRACT, NOW)


def test_bytes_that_cannot_be_read_cannot_be_repaired() -> None:
    value = encoded()[:-9]
    with pytest.raises(ReplayRefused, match="cannot be read"):
        repaired(value, diagnoser()(value, [], MILLIS), {"clicks": "0"}, CONTRACT, NOW)


def test_a_json_event_is_repaired_as_json() -> None:
    [reader] = contracts.history("sensor_readings")
    check = Diagnoser("s-value", {}, lambda _id: "{}", reader, takes_json=True)
    value = b'{"sensor_id": "s1", "temperature": "warm", "timestamp": "yesterday", "more": 1}'
    changes = {"temperature": "7.5", "timestamp": "now"}
    again = repaired(value, check(value, [], MILLIS), changes, reader, NOW)
    assert check(again, [], MILLIS).event == {"sensor_id": "s1", "temperature": 7.5, "timestamp": MILLIS}
    assert json.loads(again)["more"] == 1


def test_a_plan_sends_what_can_be_used_refuses_the_rest_and_leaves_what_went_before() -> None:
    places = [Place("ads_data", 0, offset) for offset in range(5)]
    letters = [
        letter(encoded(), places[0]),
        letter(encoded(timestamp=MILLIS - 3_600_000), places[1]),
        letter(encoded(clicks=-1), places[2]),
        letter(b"\x00\x00", places[3]),
        letter(encoded(), places[4]),
    ]
    marks = Marks({str(places[4]): Mark(iso(NOW), "ads_data/1/9", iso(NOW), {})})
    decided = plan(letters, marks, Registryless(), {}, NOW)  # type: ignore[arg-type]
    assert [(each.letter.place, each.late_by) for each in decided.outgoing] == [
        (places[0], None), (places[1], timedelta(minutes=50)),
    ]  # fmt: skip
    assert [(refused.place, why.partition(":")[0]) for refused, why in decided.refused] == [
        (places[2], "clicks_negative"), (places[3], "short"),
    ]  # fmt: skip
    assert [before.place for before, _ in decided.before] == [places[4]]
    lines = "\n".join(plan_lines(decided))
    assert "2 can be used now, and go back to ads_data" in lines
    assert "1 of them will be late: their event time is older than the job takes, by 0:50:00" in lines
    assert "1 were sent back before" in lines
    assert list(plan_lines(Plan())) == []


def test_a_topic_is_read_by_its_job_and_by_the_lateness_of_its_checkpoint(settings: Settings) -> None:
    assert reader_of(settings, "ad-metrics", "somewhere").lateness == timedelta(minutes=10)
    assert reader_of(settings, "", "sensor_readings").takes_json
    folder = settings.checkpoints / "ad-metrics"
    folder.mkdir(parents=True)
    (folder / "adstream.json").write_text(json.dumps({"lateness_seconds": 60}), encoding="utf-8")
    assert reader_of(settings, "ad-metrics", "ads_data").lateness == timedelta(minutes=1)
    with pytest.raises(ConfigError, match="no job of the catalogue reads elsewhere"):
        reader_of(settings, "", "elsewhere")


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    found = Settings()
    found.data_dir = tmp_path
    return found


def test_the_list_counts_by_reason_and_says_what_was_replayed() -> None:
    other = letter(b"12", Place("ads_data", 0, 1), reason="short")
    marks = Marks({str(PLACE): Mark(iso(NOW), "ads_data/0/9", iso(NOW), {"clicks": "0"})})
    lines = list(listing("dead", [letter(b""), other], [letter(b"")], marks, as_json=False))
    assert lines[0] == "2 dead letters in dead, 1 of them replayed"
    assert "clicks_negative        1         1" in lines
    assert "short                  1         0" in lines
    assert lines[-1].endswith("2026-03-01T12:00:00.000Z to ads_data/0/9")
    [line] = listing("dead", [other], [other], marks, as_json=True)
    shown = json.loads(line)
    assert (shown["place"], shown["offset"], shown["replayed"]) == ("ads_data/0/1", 1, None)


def test_nothing_in_a_message_steers_the_terminal() -> None:
    evil = "\x1b[2J\u202e"
    value = encoded(ad_id=evil, clicks=-1)
    one = replace(letter(value, reason=evil, **{evil: evil.encode()}), key=evil.encode(), job=evil)
    shown = [
        *page(one, diagnoser()(value, [], MILLIS), None, READER, 64),
        *listing("dead", [one], [one], Marks({}), as_json=False),
    ]
    assert all(line.isprintable() for line in shown)
    assert any("clicks is -1, and must be 0 or more" in line for line in shown)


def test_a_marked_letter_needs_nothing_more() -> None:
    mark = Mark(iso(NOW), "ads_data/0/9", iso(NOW), {})
    value = encoded(clicks=-1)
    lines = list(page(letter(value), diagnoser()(value, [], MILLIS), mark, READER, 64))
    assert lines[-1].endswith("Nothing: it was sent back at 2026-03-01T12:00:00.000Z, and lies at ads_data/0/9.")


@given(st.binary(max_size=100), st.integers(0, 100))
def test_a_hex_dump_shows_the_first_bytes_and_counts_the_rest(data: bytes, most: int) -> None:
    lines = list(hexdump(data, most))
    more = len(data) > most
    dumped = "".join(line[8:56] for line in (lines[:-1] if more else lines))
    assert bytes.fromhex(dumped) == data[:most]
    assert not more or lines[-1] == f"... and {len(data) - most} more bytes"
    assert all(line.isprintable() for line in lines)


def test_a_mark_is_json_that_reads_back() -> None:
    mark = Mark(iso(NOW), "ads_data/0/9", iso(NOW), {"clicks": "0"})
    assert Mark(**json.loads(json.dumps(asdict(mark)))) == mark
