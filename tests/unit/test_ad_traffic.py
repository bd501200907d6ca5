"""The generator on ads: the same arguments give the same bytes, with the requested shares of trouble."""

import json
from collections import Counter
from itertools import islice

import pytest

from common import contracts
from common.avro import wire
from common.errors import ConfigError
from common.registry import Registered
from producer import broken
from producer.encoding import Encoder
from producer.events import find
from producer.records import Record
from producer.timeline import Timeline
from producer.traffic import Mix

CONTRACT = contracts.latest("ads_data")
ENCODE = Encoder(Registered(7, 2, CONTRACT.text), CONTRACT)
TIMELINE = Timeline(1_735_689_600_000, 10.0)
TROUBLED = Mix(late=0.1, out_of_order=0.1, duplicates=0.1, broken=0.2)


def records(count: int, seed: int = 1, mix: Mix = TROUBLED, timeline: Timeline = TIMELINE) -> list[Record]:
    return list(islice(find("ads").records(seed, mix, timeline), count))


def message(record: Record) -> tuple[str, bytes]:
    value = ENCODE(record.event)
    return record.key, record.spoil(value) if record.spoil else value


def test_two_runs_with_one_seed_send_the_same_bytes() -> None:
    first = [message(record) for record in records(5_000)]
    assert first == [message(record) for record in records(5_000)]
    assert first != [message(record) for record in records(5_000, seed=2)]


def test_event_ids_differ_between_runs_that_differ_in_anything() -> None:
    runs = [
        {},
        {"seed": 2},
        {"mix": Mix(late=0.1, out_of_order=0.1, duplicates=0.1, broken=0.2, keys=99)},
        {"timeline": Timeline(TIMELINE.start_ms + 1, TIMELINE.step_ms)},
        {"timeline": Timeline(TIMELINE.start_ms, 11.0)},
    ]
    ids = [{record.event["event_id"] for record in records(500, **options)} for options in runs]
    assert len(set.union(*ids)) == sum(len(run) for run in ids)


def test_the_shares_are_those_asked_for() -> None:
    count = 20_000
    kinds = Counter(record.kind for record in records(count))
    spoilt = sum(kinds[kind] for kind in broken.KINDS)
    shares = [kinds["on_time"], kinds["late"], kinds["out_of_order"], kinds["duplicate"], spoilt]
    assert [share / count for share in shares] == pytest.approx([0.5, 0.1, 0.1, 0.1, 0.2], abs=0.01)
    assert all(kinds[kind] > 100 for kind in broken.KINDS)


def test_no_trouble_unless_asked_for() -> None:
    assert {record.kind for record in records(2_000, mix=Mix())} == {"on_time"}


def test_event_times_follow_the_timeline_but_for_late_and_out_of_order_ones() -> None:
    delays: dict[str, list[int]] = {}
    for position, record in enumerate(records(5_000)):
        delays.setdefault(record.kind, []).append(TIMELINE.at(position) - record.event["timestamp"])
    assert set(delays["on_time"]) == {0}
    assert 11 * 60_000 <= min(delays["late"]) < max(delays["late"]) <= 30 * 60_000
    assert 1 <= min(delays["out_of_order"]) < max(delays["out_of_order"]) <= 120_000


def test_a_duplicate_is_an_event_that_was_sent_before() -> None:
    sent: set[str] = set()
    for record in records(5_000):
        identity = json.dumps(record.event)
        assert (identity in sent) == (record.kind == "duplicate") or record.spoil
        if not record.spoil:
            sent.add(identity)


def test_values_are_plausible() -> None:
    for record in records(5_000, mix=Mix(keys=20)):
        event = record.event
        assert 0 <= event["clicks"] <= 5
        assert event["clicks"] <= event["views"] <= 50
        assert event["cost"] == round(event["cost"], 4) >= 0
        assert record.key == event["ad_id"]


def test_skew_follows_zipf_and_zero_is_even() -> None:
    uneven = Counter(record.key for record in records(20_000, mix=Mix(keys=10, skew=1.0)))
    assert uneven["ad-001"] / uneven["ad-002"] == pytest.approx(2, rel=0.1)
    assert uneven["ad-001"] / uneven["ad-004"] == pytest.approx(4, rel=0.15)
    even = Counter(record.key for record in records(20_000, mix=Mix(keys=10, skew=0.0)))
    assert min(even.values()) > 0.8 * max(even.values())
    assert len(even) == 10


def test_every_message_starts_with_the_five_byte_header() -> None:
    for record in records(200, mix=Mix()):
        assert message(record)[1][: wire.HEADER_BYTES] == b"\x00\x00\x00\x00\x07"


@pytest.mark.parametrize(
    "mix", [{"keys": 0}, {"skew": -1}, {"late": 1.5}, {"broken": -0.1}, {"late": 0.6, "broken": 0.6}]
)
def test_a_mix_that_cannot_be_is_refused(mix: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Mix(**mix)  # type: ignore[arg-type]
