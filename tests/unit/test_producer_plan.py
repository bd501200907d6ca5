"""The producer's decisions on options that the user left out, and its wire format."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from common import contracts
from common.errors import ConfigError, SchemaIncompatible
from common.registry import Registered
from producer.encoding import Encoder
from producer.events import find
from producer.plan import Wish, plan
from producer.timeline import to_millis

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)
CONTRACT = contracts.latest("ads_data")
EVENT = {"ad_id": "a", "timestamp": 0, "clicks": 1, "views": 2, "cost": 0.5, "event_id": "e"}


def decide(**options: object):  # type: ignore[no-untyped-def]
    return plan(Wish(**options), lambda: NOW)  # type: ignore[arg-type]


def test_a_seed_and_a_count_make_it_repeatable_and_say_so() -> None:
    decided = decide(seed=1, count=10)
    assert decided.timeline.start_ms == to_millis(datetime(2025, 1, 1, tzinfo=UTC))
    assert decided.timeline.step_ms == 10
    assert "--start now" in " ".join(decided.notes)
    assert decide(seed=1, count=10, rate=0).timeline.step_ms == 1


def test_without_a_seed_it_is_live_and_the_seed_is_told() -> None:
    decided = decide(count=10)
    assert decided.timeline.start_ms == to_millis(NOW)
    assert decided.notes == [f"seed {decided.seed}"]
    assert decided.rate == 100


def test_live_events_begin_when_the_first_one_is_made() -> None:
    later = to_millis(NOW) + 600
    assert decide(count=10).begun(later).at(0) == later
    assert decide(count=10, start="now").begun(later).at(0) == later
    for fixed in (decide(seed=1, count=10), decide(start="-5m"), decide(over="5m", count=600)):
        assert fixed.begun(later) == fixed.timeline


def test_as_fast_as_it_goes_takes_the_clock() -> None:
    assert decide(rate=0).timeline.at(10**9) == to_millis(NOW)
    assert decide(rate=0, seed=1, count=5, start="now").timeline.at(10**9) == to_millis(NOW)


def test_start_may_be_relative_or_a_time() -> None:
    assert decide(start="-5m").timeline.at(0) == to_millis(NOW) - 300_000
    assert decide(start="2025-01-02T00:00:00").timeline.at(0) == to_millis(datetime(2025, 1, 2, tzinfo=UTC))
    with pytest.raises(ConfigError, match="not a time"):
        decide(start="soon")


def test_over_spreads_the_events_up_to_now() -> None:
    decided = decide(over="5m", count=600)
    assert decided.timeline.at(0) == to_millis(NOW) - 300_000
    assert decided.timeline.at(600) == to_millis(NOW)
    assert decided.rate == 0
    with pytest.raises(ConfigError, match="--count"):
        decide(over="5m")


def test_times_keep_their_milliseconds() -> None:
    assert to_millis(datetime(2025, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)) % 1000 == 123


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    assert find("ad-metrics") is find("ads")
    with pytest.raises(ConfigError, match="did you mean ads"):
        find("adds")


def changed(**fields: object) -> Registered:
    schema = CONTRACT.schema
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in fields]
    schema["fields"] += [{"name": name, **kind} for name, kind in fields.items() if kind]  # type: ignore[dict-item]
    return Registered(9, 3, json.dumps(schema))


def test_a_newer_optional_field_is_filled_in() -> None:
    encode = Encoder(changed(country={"type": ["null", "string"], "default": None}), CONTRACT)
    assert encode(EVENT).startswith(b"\x00\x00\x00\x00\x09\x02a")


def test_a_newer_required_field_is_refused_before_the_first_event() -> None:
    with pytest.raises(SchemaIncompatible, match="requires country"):
        Encoder(changed(country={"type": "string"}), CONTRACT)


def test_a_field_that_the_registered_schema_would_lose_is_refused() -> None:
    with pytest.raises(SchemaIncompatible, match="has no field cost"):
        Encoder(changed(cost=None), CONTRACT)


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(SchemaIncompatible, match="do not fit ads_data-value version 3"):
        Encoder(changed(cost={"type": "string"}), CONTRACT)(EVENT)


def test_the_contract_follows_the_topic() -> None:
    assert find("ads").contract("other") == replace(CONTRACT, subject="other-value")
