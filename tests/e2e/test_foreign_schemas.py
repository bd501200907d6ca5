"""Schemas that other people registered for the topic: each costs its own messages at most, in every command."""

import json
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from pyspark.sql import SparkSession

from tests.e2e.commands import adstream
from tests.e2e.pipeline import Pipeline
from tests.unit.streaming.test_foreign_writers import CASES, EVENT, MILLIS, Case, message, v2

OWN, LATER = "the contract's own", "cost as text"
# This registry accepts these texts as versions of one subject. A stricter registry may refuse some of them.
NAMES = [name for name in CASES if name not in (LATER, "no record", "no event_id", "a nanosecond before 1970")]


def now(case: Case) -> Any:
    """Return the case's event with the present time, in the unit of its schema."""
    event = case.event
    if not isinstance(event, Mapping):
        return event
    return {
        name: value // MILLIS * int(time.time() * 1_000) if isinstance(value, int) and value >= MILLIS else value
        for name, value in event.items()
    }


def test_every_schema_costs_its_own_messages_at_most(spark: SparkSession, pipeline: Pipeline) -> None:
    settings = pipeline.settings
    subject = f"{settings.topic.ads}-value"
    registry = SchemaRegistryClient({"url": settings.registry.url, "timeout": 30})
    registry.set_compatibility(subject, "NONE")
    cases = {OWN: Case(v2(), {**EVENT, "event_id": None}), **{name: CASES[name] for name in NAMES}}
    ids = {
        name: registry.register_schema(subject, Schema(json.dumps(case.schema), "AVRO")) for name, case in cases.items()
    }

    def send(names: list[str]) -> None:
        producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
        for place, name in enumerate(names):
            event = now(cases[name])
            if isinstance(event, dict) and isinstance(event.get("event_id"), str):
                event["event_id"] = f"{place}"
            producer.produce(settings.topic.ads, message(cases[name].schema, event, ids[name]))
        assert producer.flush(30) == 0

    send(list(cases))
    lines = pipeline.run(spark)
    refused = {name for name, case in cases.items() if case.read in ("incompatible_schema", "recursive_schema")}
    told = [line for line in lines if "cannot be read by the contract" in line]
    assert {line.split("schema id ")[1].split(")")[0] for line in told} == {str(ids[name]) for name in refused}
    assert any("the writer's cost is bytes (decimal), the contract's a double" in line for line in told)
    dead = {name for name, case in cases.items() if isinstance(case.read, str)}
    found = pipeline.verified().fates
    assert (found["counted"], found["dead"], found["late"], found["duplicate"]) == (
        len(cases) - len(dead),
        len(dead),
        0,
        0,
    )

    # A new schema while the job runs gives one more notice, and is no failure either.
    cases[LATER] = CASES[LATER]
    ids[LATER] = registry.register_schema(subject, Schema(json.dumps(CASES[LATER].schema), "AVRO"))
    send([LATER, OWN])
    assert sum("cannot be read by the contract" in line for line in pipeline.run(spark)) == len(refused) + 1
    assert pipeline.verified().fates["dead"] == len(dead) + 1

    reasons = sorted(
        case.read for case in [*(cases[name] for name in dead), cases[LATER]] if isinstance(case.read, str)
    )
    listed = adstream("dead-letters", "list", "--json")
    letters = [json.loads(line) for line in listed.stdout.splitlines()]
    assert listed.returncode == 0, listed.stderr
    assert sorted(each["reason"] for each in letters) == reasons
    shown = adstream("consume", settings.topic.ads, "--to-end", "--json")
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.splitlines()) == len(cases) + 1
    examined = adstream("doctor")
    assert "the writer's cost is bytes (decimal), the contract's a double" in " ".join(examined.stdout.split())
