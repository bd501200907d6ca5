"""The generator on every source: repeatable, within its contract, as troubled as requested, unlike the samples."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import fastavro
import pytest

from common import contracts
from producer import broken
from producer.events import SOURCES, find
from producer.generators import clickstream, fruit
from producer.json_encoding import JsonEncoder
from producer.records import Record
from producer.source import Source
from producer.timeline import Timeline
from producer.traffic import Mix

TIMELINE = Timeline(1_735_689_600_000, 100.0)
TROUBLED = Mix(late=0.1, out_of_order=0.1, duplicates=0.1, broken=0.1)
SPOILT = {*broken.BYTES, *find("ads").broken_values}

every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))


def live(source: Source, count: int, mix: Mix = TROUBLED, seed: int = 1) -> list[Record]:
    return list(islice(source.records(seed, mix, TIMELINE), count))


def as_sent(records: list[Record]) -> list[object]:
    return [(record.key, record.event, record.kind, record.spoil and record.spoil(b"0" * 40)) for record in records]


@every_source
def test_the_same_seed_makes_the_same_events_and_another_does_not(source: Source) -> None:
    first = as_sent(live(source, 500))
    assert json.dumps(first, default=str) == json.dumps(as_sent(live(source, 500)), default=str)
    assert json.dumps(first, default=str) != json.dumps(as_sent(live(source, 500, seed=2)), default=str)


@every_source
def test_the_shares_of_trouble_are_those_asked_for(source: Source) -> None:
    kinds = Counter(record.kind for record in live(source, 4_000))
    spoilt = sum(kinds[kind] for kind in SPOILT)
    shares = [kinds["on_time"], kinds["late"], kinds["out_of_order"], kinds["duplicate"], spoilt]
    assert [share / 4_000 for share in shares] == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1], abs=0.03)
    assert set(broken.BYTES) <= kinds.keys()
    assert kinds["timestamp_ahead"] > 10
    assert kinds.keys() & broken.AD_VALUES.keys() == (set(broken.AD_VALUES) if source.name == "ads" else set())


@every_source
def test_events_fit_their_contract_and_carry_their_key(source: Source) -> None:
    contract = contracts.latest(source.contract_name)
    schema = fastavro.parse_schema(contract.schema)
    for record in live(source, 1_000):
        assert fastavro.validate(record.event, schema, strict=True)
        assert record.key == str(record.event[source.key])


@every_source
def test_late_and_out_of_order_events_differ_in_their_time_alone(source: Source) -> None:
    delays: dict[str, list[int]] = defaultdict(list)
    for position, record in enumerate(live(source, 2_000)):
        delays[record.kind].append(TIMELINE.at(position) - record.event[source.time_field])
    assert set(delays["on_time"]) == {0}
    assert 11 * 60_000 <= min(delays["late"]) < max(delays["late"]) <= 30 * 60_000
    assert 1 <= min(delays["out_of_order"]) < max(delays["out_of_order"]) <= 120_000


@every_source
def test_a_duplicate_is_an_event_sent_before(source: Source) -> None:
    sent = []
    for record in live(source, 1_000):
        if record.kind == "duplicate":
            assert record.event in sent
        elif record.kind not in SPOILT:
            sent.append(record.event)


@every_source
def test_live_keys_and_ids_are_none_of_a_sample(source: Source) -> None:
    if source.name == "fruit":
        return  # a fruit is the same in both: its id selects its category
    documented = [event for sample in source.jobs.values() for event in sample.events]
    for name in {source.key, "event_id", "transactionId"} & documented[0].keys():
        made_up = {record.event[name] for record in live(source, 2_000, Mix(skew=0))}
        assert made_up.isdisjoint(event[name] for event in documented)


@every_source
def test_a_few_keys_get_most_events_unless_the_skew_is_zero(source: Source) -> None:
    if source.keys is None:
        keys = [record.key for record in live(source, 1_000, Mix())]
        assert len(set(keys)) == 1_000
        return
    uneven = Counter(record.key for record in live(source, 4_000, Mix(keys=4)))
    shares = [count / 4_000 for _, count in uneven.most_common()]
    assert shares == pytest.approx([0.48, 0.24, 0.16, 0.12], abs=0.04)
    even = Counter(record.key for record in live(source, 4_000, Mix(keys=4, skew=0)))
    assert [count / 4_000 for count in even.values()] == pytest.approx([0.25] * 4, abs=0.04)
    assert len({record.key for record in live(source, 4_000, Mix(skew=0))}) == source.keys.count


@every_source
def test_an_event_as_json_is_the_same_event(source: Source) -> None:
    encode = JsonEncoder(contracts.latest(source.contract_name))
    for record in live(source, 200, Mix(late=0.5)):
        line = encode(record.event)
        assert b"\n" not in line
        assert line.startswith(b"{")
        found = json.loads(line)
        assert found[source.time_field].endswith("Z")
        moment = datetime.fromisoformat(found[source.time_field])
        found[source.time_field] = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        assert found == record.event


def test_times_in_json_have_milliseconds_and_text_is_utf8() -> None:
    encode = JsonEncoder(contracts.latest("logins"))
    assert (
        encode({"user_id": "ü", "timestamp": 0}) == '{"user_id": "ü", "timestamp": "1970-01-01T00:00:00.000Z"}'.encode()
    )
    assert json.loads(encode({"user_id": "u", "timestamp": -1}))["timestamp"] == "1969-12-31T23:59:59.999Z"


def test_sensors_are_between_60_and_90_degrees() -> None:
    found = [record.event["temperature"] for record in live(find("sensors"), 5_000, Mix())]
    assert 60 <= min(found) < 61
    assert 89 < max(found) <= 90


def test_clicks_are_as_frequent_as_their_weights() -> None:
    found = Counter(record.event["event"] for record in live(find("clickstream"), 20_000, Mix()))
    total = sum(clickstream.WEIGHTS.values())
    shares = {event: weight / total for event, weight in clickstream.WEIGHTS.items()}
    assert {event: count / 20_000 for event, count in found.items()} == pytest.approx(shares, abs=0.01)
    assert {"view", "click", "purchase", "error"} == shares.keys()


def test_a_transaction_has_an_id_of_its_own_and_a_duplicate_repeats_it() -> None:
    records = live(find("transactions"), 5_000, Mix(duplicates=0.2))
    first = [record.event["transactionId"] for record in records if record.kind != "duplicate"]
    again = [record.event["transactionId"] for record in records if record.kind == "duplicate"]
    assert len(set(first)) == len(first)
    assert len(again) > 500
    assert set(again) <= set(first)


def test_amounts_are_of_the_size_that_a_job_takes() -> None:
    for name, field, smallest in [
        ("trx", "amount", 1), ("transactions", "amount", 0.01), ("sales", "sales_amount", 1), ("orders", "amount", 1)
    ]:  # fmt: skip
        amounts = [record.event[field] for record in live(find(name), 2_000, Mix())]
        assert smallest <= min(amounts) < max(amounts) <= 1_000_000
        assert all(amount == round(amount, 2) for amount in amounts)


def test_fruits_have_their_names_and_those_above_30_have_no_category() -> None:
    for record in live(find("fruit"), 2_000, Mix(keys=40, skew=0)):
        number = record.event["id"]
        assert 1 <= number <= 40
        assert (record.event["value"] in fruit.NAMES) == (number <= 30)
    assert {record.event["id"]: record.event["value"] for record in live(find("fruit"), 2_000, Mix())}[
        22
    ] == "vanilla bean"


def test_a_live_rack_becomes_too_hot_and_cools_down_again() -> None:
    """`rack-alerts` waits for three readings in a row of 100 and more."""
    temperatures: dict[str, list[float]] = defaultdict(list)
    for record in islice(find("racks").records(1, Mix(skew=0), Timeline(0, 1_000.0)), 3_600):
        temperatures[record.key].append(record.event["temperature"])
    assert len(temperatures) == 5
    for found in temperatures.values():
        hot = [all(each >= 100 for each in found[start : start + 3]) for start in range(len(found) - 2)]
        changes = sum(before != after for before, after in pairwise(hot))
        assert changes >= 8, "in an hour with six waves"
        assert max(found) < 103
        assert min(found) > 93
