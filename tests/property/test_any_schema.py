"""Any registry content and any message bytes give a reason, and never a traceback."""

import json
import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adstream.dead_letters.dead_letter_pages import reading
from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.letters import Letter, Place
from adstream.dead_letters.topic_readers import TopicReader
from adstream.verify.judge import Judge
from common import contracts
from common.avro import wire
from common.avro.resolution import Unreadable, Unresolvable, resolve
from common.registry import Registered
from consumer.decoding import Broken, Decoded, Decoder
from tests.property.writer_schemas import NOW, writer_schemas
from tests.unit.streaming.wire_messages import NOW as MOMENT

V2 = contracts.latest("ads_data")
READER = TopicReader("ad-metrics", V2, takes_json=False, lateness=timedelta(minutes=10))
WORDS = (
    "type", "name", "fields", "record", "enum", "symbols", "array", "items", "map", "values", "fixed", "size", "union",
    "logicalType", "decimal", "precision", "scale", "uuid", "default", "aliases", "namespace", "null", "int", "long",
    "string", "bytes", "double", "ad_id", "AdEvent", "adstream.AdEvent", "timestamp", "timestamp-millis", "clicks", "",
)  # fmt: skip
_leaves = st.none() | st.booleans() | st.integers(-3, 20) | st.floats(allow_nan=False) | st.sampled_from(WORDS)
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)


def mutated(schema: Any, rng: random.Random) -> Any:
    """Return the schema with one part replaced, left out, or repeated."""
    if isinstance(schema, dict) and schema and rng.random() < 0.8:
        name = rng.choice(list(schema))
        if rng.random() < 0.1:
            return {key: part for key, part in schema.items() if key != name}
        return {**schema, name: mutated(schema[name], rng)}
    if isinstance(schema, list) and schema and rng.random() < 0.8:
        place = rng.randrange(len(schema))
        if rng.random() < 0.1:
            return [*schema, schema[place]]
        return [*schema[:place], mutated(schema[place], rng), *schema[place + 1 :]]
    return rng.choice([rng.choice(WORDS), None, 7, [], {}, [schema, schema], {"type": schema}])


class Registry:
    """Returns one schema for any id."""

    def __init__(self, text: str) -> None:
        self._text = text

    def by_id(self, _schema_id: int) -> str:
        return self._text


def holds(schema: Any, payload: bytes) -> None:
    """Check that every reader answers, and that the oracle and `explain` agree."""
    value, text = wire.frame(7, payload), json.dumps(schema)
    judged = Judge({7: schema}, READER.lateness or timedelta()).judge(0, 0, NOW, value)
    check = Diagnoser("ads_data-value", {7: Registered(7, 3, text)}, lambda _id: text, V2, takes_json=False)
    found = check(value, [], NOW)
    # For an event before 1970, a job with a lateness says late, and other jobs refuse it. `explain` does not know the
    # job.
    dead = found.reason not in (None, "timestamp_before_1970") or (
        found.reason is not None and judged.outcome == "dead"
    )
    assert (judged.outcome == "dead") == dead, (text, payload, found)
    check(wire.frame(8, payload), [], NOW)
    letter = Letter(Place("ads_data", 0, 1), "x", MOMENT, 7, "ad-metrics", len(value), b"", value, [], MOMENT)
    assert all(line.isprintable() for line in reading(letter, found, READER, 64))
    assert isinstance(Decoder(Registry(text))(value), Decoded | Broken)  # type: ignore[arg-type]


@given(schema=_json, payload=st.binary(max_size=40))
def test_any_json_as_a_schema(schema: Any, payload: bytes) -> None:
    holds(schema, payload)


@given(seed=st.integers(0, 2**32), payload=st.binary(max_size=60))
def test_schemas_that_are_nearly_right(seed: int, payload: bytes) -> None:
    rng = random.Random(seed)
    schema: Any = V2.schema
    for _ in range(rng.randrange(1, 4)):
        schema = mutated(schema, rng)
    holds(schema, payload)


DRAWN = [each for each in writer_schemas(7) if not isinstance(each.schema, str)][:40]


@given(place=st.integers(0, len(DRAWN) - 1), number=st.integers(0, 49), seed=st.integers(0, 2**32))
def test_damaged_bytes_of_drawn_schemas(place: int, number: int, seed: int) -> None:
    rng = random.Random(seed)
    value = bytearray(DRAWN[place].messages(seed)[number][0][wire.HEADER_BYTES :])
    for _ in range(rng.randrange(4)):
        if value:
            value[rng.randrange(len(value))] = rng.randrange(256)
    holds(DRAWN[place].schema, bytes(value))


@given(schema=_json, payload=st.binary(max_size=40))
def test_a_resolution_raises_what_it_says(schema: Any, payload: bytes) -> None:
    with suppress(Unresolvable, Unreadable):
        assert resolve(schema, V2.schema).read(payload).event
