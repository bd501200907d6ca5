"""Every kind of broken message is broken with any seed, and the debug consumer gives the reason."""

import json
import math
from itertools import islice
from random import Random

import pytest

from common import contracts
from common.avro import wire
from common.errors import SchemaNotFound, ServiceUnavailable
from common.registry import Registered, RegistryClient
from common.settings import RegistrySettings
from consumer.decoding import Broken, Decoded, Decoder
from producer import broken
from producer.encoding import Encoder
from producer.events import SOURCES, find
from producer.source import Source
from producer.timeline import Timeline
from producer.traffic import Mix

ADS = find("ads")
CONTRACT = contracts.latest("ads_data")
EVENT = {"ad_id": "ad-001", "timestamp": 1_735_689_600_000, "clicks": 2, "views": 9, "cost": 1.25, "event_id": "e-1"}
GOOD = Encoder(Registered(7, 2, CONTRACT.text), CONTRACT)(EVENT)
ROUNDS = 300


class KnownSchemas(RegistryClient):
    """A registry that knows these schemas. Every other id raises `otherwise`."""

    def __init__(self, known: dict[int, str], otherwise: Exception) -> None:
        super().__init__(RegistrySettings())
        self.known = known
        self.otherwise = otherwise
        self.asked = 0

    def by_id(self, schema_id: int) -> str:
        self.asked += 1
        if schema_id not in self.known:
            raise self.otherwise
        return self.known[schema_id]


def decoder(text: str = CONTRACT.text) -> Decoder:
    return Decoder(KnownSchemas({7: text}, SchemaNotFound("unknown id", "register it")))


REASONS = {
    "empty": "empty",
    "short": "shorter than",
    "wrong_magic_byte": "wrong magic byte",
    "unknown_schema_id": "unknown id",
    "truncated": "truncated",
    "random_bytes": "wrong magic byte",
    "random_payload": "",
    "trailing_garbage": "garbage after the value",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
@pytest.mark.parametrize("kind", broken.BYTES)
def test_bytes_of_this_kind_never_decode(kind: str, source: Source) -> None:
    contract = contracts.latest(source.contract_name)
    encode, decode = Encoder(Registered(7, 1, contract.text), contract), decoder(contract.text)
    events = source.records(1, Mix(), Timeline(1_735_689_600_000, 1.0))
    for seed, record in zip(range(ROUNDS), events, strict=False):
        spoilt = broken.BYTES[kind](encode(record.event), Random(seed))
        outcome = decode(spoilt)
        assert isinstance(outcome, Broken), spoilt.hex()
        assert REASONS[kind] in outcome.reason


def test_every_kind_of_bytes_has_a_reason_here() -> None:
    assert REASONS.keys() == broken.BYTES.keys()


@pytest.mark.parametrize("kind", ADS.broken_values)
def test_values_of_this_kind_decode_and_cannot_be_true(kind: str) -> None:
    event = ADS.broken_values[kind](EVENT)
    wrong = {
        "ad_id_empty": event["ad_id"] == "",
        "clicks_negative": event["clicks"] < 0,
        "views_negative": event["views"] < 0,
        "cost_negative": event["cost"] < 0,
        "cost_nan": math.isnan(event["cost"]),
        "cost_infinite": math.isinf(event["cost"]),
        "timestamp_ahead": event["timestamp"] > EVENT["timestamp"] + 9 * 365 * 86_400_000,
    }
    assert [name for name, true in wrong.items() if true] == [kind]
    assert isinstance(decoder()(Encoder(Registered(7, 2, CONTRACT.text), CONTRACT)(event)), Decoded)


def test_the_kinds_of_the_ads_are_all_there_are() -> None:
    assert (*broken.BYTES, *ADS.broken_values) == broken.KINDS


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_an_event_ten_years_ahead_is_one_whatever_its_contract(source: Source) -> None:
    (record,) = islice(source.records(1, Mix(), Timeline(1_735_689_600_000, 1.0)), 1)
    event = source.broken_values["timestamp_ahead"](record.event)
    differing = {name for name in event if event[name] != record.event[name]}
    assert differing == {source.time_field}
    assert event[source.time_field] > 1_735_689_600_000 + 9 * 365 * 86_400_000


def test_a_good_message_decodes_with_its_writers_schema() -> None:
    outcome = decoder()(GOOD)
    assert isinstance(outcome, Decoded)
    assert outcome.schema_id == 7
    assert outcome.value["ad_id"] == "ad-001"
    assert outcome.value["timestamp"].isoformat() == "2025-01-01T00:00:00+00:00"


def test_a_timestamp_beyond_the_calendar_is_shown_as_its_number() -> None:
    outcome = decoder()(Encoder(Registered(7, 2, CONTRACT.text), CONTRACT)(EVENT | {"timestamp": 2**62}))
    assert isinstance(outcome, Decoded)
    assert outcome.value["timestamp"] == 2**62


def test_a_tombstone_is_said_to_be_one() -> None:
    outcome = decoder()(None)
    assert isinstance(outcome, Broken)
    assert "tombstone" in outcome.reason


def test_a_string_that_is_not_utf8_is_broken() -> None:
    outcome = decoder()(GOOD.replace(b"ad-001", b"ad-\xff\xfe1"))
    assert isinstance(outcome, Broken)
    assert "UTF-8" in outcome.reason


def test_a_length_of_two_thousand_million_does_no_harm() -> None:
    outcome = decoder()(wire.frame(7, b"\x80\xd0\xac\xf3\x0e" + b"x"))
    assert isinstance(outcome, Broken)


def test_a_registry_that_does_not_answer_is_asked_once_for_many_messages() -> None:
    registry = KnownSchemas({}, ServiceUnavailable("no schema registry answers", "start one"))
    decode = Decoder(registry)
    outcomes = {decode(GOOD) for _ in range(100)}
    assert outcomes == {Broken("no schema registry answers", 7)}
    assert registry.asked == 1


def test_a_schema_that_is_not_avro_is_a_reason() -> None:
    for text in ("{}", "no json", json.dumps({"type": "nonsense"})):
        outcome = Decoder(KnownSchemas({7: text}, SchemaNotFound("")))(GOOD)
        assert isinstance(outcome, Broken)
        assert "not Avro" in outcome.reason
