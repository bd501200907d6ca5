"""The oracle's judge over other people's schemas: each message gets the fate that Avro's resolution implies."""

from datetime import timedelta
from typing import Any

import fastavro
import pytest

from adstream.verify.judge import Judge, Judged
from common.avro import wire
from common.avro.schema_types import from_text
from tests.unit.streaming.wire_messages import ID_V2, NOW, V2, encoded
from tests.unit.test_avro_resolution import AS_IT_IS, CANNOT, DECIMAL, EVENT, MICROS, TAGS, UUID, changed, written

ARRIVAL = int(NOW.timestamp() * 1_000)
TEN_MINUTES = timedelta(minutes=10)
GOOD = {**EVENT, "timestamp": ARRIVAL}


def judged(schema: Any, payload: bytes) -> Judged:
    return Judge({7: schema}, TEN_MINUTES).judge(0, 0, ARRIVAL, wire.frame(7, payload))


def outcome(value: bytes) -> str:
    return Judge({ID_V2: V2.schema}, TEN_MINUTES).judge(0, 0, ARRIVAL, value).outcome


def test_a_union_branch_of_minus_one_is_not_the_last_branch() -> None:
    good = encoded(V2, event_id="e-1")
    branch = b"\x02\x06e-1"
    assert good.endswith(branch)
    assert outcome(good) == "counted"
    assert outcome(good[: -len(branch)] + b"\x01\x06e-1") == "dead"


def test_a_number_counts_however_it_is_written() -> None:
    good = encoded(V2, clicks=3, event_id="e-1")
    longer = good.replace(b"\x06", b"\x86\x80\x00", 1)
    assert outcome(longer) == "counted"
    assert outcome(longer + b"\x00") == "dead"


def test_microseconds_count_in_milliseconds() -> None:
    schema = changed(timestamp=MICROS)
    found = judged(schema, written(schema, {**GOOD, "timestamp": ARRIVAL * 1_000 + 999}))
    assert (found.outcome, found.timestamp) == ("counted", ARRIVAL)


def test_a_promoted_cost_counts_exactly() -> None:
    schema = changed(cost=["null", "long"])
    found = judged(schema, written(schema, {**GOOD, "cost": 12}))
    assert (found.outcome, found.cost_micros) == ("counted", 12_000_000)
    assert judged(schema, written(schema, {**GOOD, "cost": None})).outcome == "dead"


def test_uuids_are_text() -> None:
    schema = changed(event_id=["null", UUID])
    ids = ["0b7e5f5e-6c3c-4c0e-9a53-6f8dd2a3a1b0", "0B7E5F5E-6C3C-4C0E-9A53-6F8DD2A3A1B0", "order-17"]
    found = [judged(schema, written(schema, {**GOOD, "event_id": each})) for each in ids]
    assert [(each.outcome, each.event_id) for each in found] == [("counted", each) for each in ids]


def test_blocks_with_a_negative_count_count() -> None:
    schema = changed(more=[TAGS])
    payload = written(schema, {**GOOD, "tags": None})[:-1] + b"\x02" + b"\x03\x08\x02a\x02b" + b"\x00"
    assert judged(schema, payload).outcome == "counted"
    assert judged(schema, payload[:-1]).outcome == "dead"


def test_an_int_of_more_than_five_bytes_is_no_int_also_in_a_field_that_nobody_reads() -> None:
    schema = changed(more=[{"name": "more", "type": "int"}])
    payload = written(V2.schema, GOOD)
    assert judged(schema, payload + b"\x80\x80\x80\x80\x10").outcome == "counted"
    assert judged(schema, payload + b"\x80\x80\x80\x80\x80\x01").outcome == "dead"


@pytest.mark.parametrize("name", AS_IT_IS)
def test_a_schema_that_resolves_is_counted(name: str) -> None:
    schema, own, _ = AS_IT_IS[name]
    event = {**GOOD, **own}
    found = judged(schema, written(schema, event))
    # The cases' own times are of another day.
    assert found.outcome == ("late" if found.timestamp < ARRIVAL - 600_000 else "counted")
    assert (found.ad_id, found.clicks) == ("ad-1", 3)


@pytest.mark.parametrize("name", CANNOT)
def test_a_schema_that_cannot_be_read_costs_its_own_messages(name: str) -> None:
    judge = Judge({1: CANNOT[name][0], ID_V2: V2.schema, 3: None, 4: from_text('syntax = "proto3";')}, TEN_MINUTES)
    good = encoded(V2)
    outcomes = [judge.judge(0, 0, ARRIVAL, wire.frame(each, good[5:])).outcome for each in (1, ID_V2, 3, 4)]
    assert outcomes == ["dead", "counted", "dead", "dead"]


def test_what_fastavro_refuses_is_still_read() -> None:
    """The schema's default does not match the type of its field. Registries of some years accepted that."""
    schema = changed(more=[{"name": "note", "type": "string", "default": None}])
    with pytest.raises(fastavro.schema.SchemaParseException):
        fastavro.parse_schema(schema)
    assert judged(schema, written(V2.schema, GOOD) + b"\x02a").event_id == "e-1"


def test_a_decimal_beside_the_event_does_not_matter() -> None:
    schema = changed(more=[{"name": "price", "type": ["null", DECIMAL], "default": None}])
    assert judged(schema, written(schema, {**GOOD, "price": b"\x01"})).outcome == "counted"
