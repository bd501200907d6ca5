"""Two hundred schemas that BACKWARD accepts, fifty messages each: the oracle, `explain` and `consume` agree.

Apache Avro's Python library gives a third opinion on the schemas that it can read.
"""

import io
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import avro.errors
import avro.io
import avro.schema
import pytest

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.verify.judge import Judge
from common.avro import wire
from common.avro.resolution import Unreadable, Unresolvable, resolve
from common.avro.schema_types import parse, within, without_annotations
from common.registry import Registered
from consumer.decoding import Broken, Decoder
from tests.property.writer_schemas import MESSAGES, SCHEMAS, V2, WriterSchema, writer_schemas


@pytest.fixture(scope="module")
def seed() -> int:
    drawn = random.randrange(2**32)
    print(f"seed {drawn}")
    return drawn


@pytest.fixture(scope="module")
def drawn(seed: int) -> list[WriterSchema]:
    return writer_schemas(seed)


class Registry:
    """Knows the drawn schemas."""

    def __init__(self, drawn: list[WriterSchema]) -> None:
        self._texts = {each.schema_id: each.text for each in drawn}

    def by_id(self, schema_id: int) -> str:
        return self._texts[schema_id]


def test_the_oracle_and_explain_give_each_message_the_same_fate(seed: int, drawn: list[WriterSchema]) -> None:
    judge = Judge({each.schema_id: each.schema for each in drawn}, timedelta(minutes=10))
    writers = {each.schema_id: Registered(each.schema_id, 3, each.text) for each in drawn}
    diagnose = Diagnoser("ads_data-value", writers, lambda _id: "", V2, takes_json=False)
    consume = Decoder(Registry(drawn))  # type: ignore[arg-type]
    seen: Counter[str] = Counter()
    refused: list[tuple[Broken, str]] = []
    for schema in drawn:
        for value, arrival in schema.messages(seed):
            judged, found, consumed = judge.judge(0, 0, arrival, value), diagnose(value, [], arrival), consume(value)
            where = f"seed {seed}, {schema.changes}, {schema.text}: {value.hex()} at {arrival}"
            assert (judged.outcome == "dead") == (found.reason is not None), f"{judged} {found.problem}; {where}"
            seen[found.reason or judged.outcome] += 1
            if judged.outcome == "dead":
                assert found.problem, where
                continue
            event = found.event or {}
            own = judged.ad_id, judged.timestamp, judged.clicks, judged.views, judged.event_id
            assert own == (
                *(event[name] for name in ("ad_id", "timestamp", "clicks", "views")),
                event["event_id"] or None,
            )
            if isinstance(consumed, Broken):
                refused.append((consumed, where))
            else:
                shown = {name: consumed.value[name] for name in ("clicks", "views") if name in consumed.value}
                assert shown == {name: event[name] for name in shown}, where
    print(dict(seen))
    # `consume` shows every field. The others pass over a field that the contract leaves out, damaged or not.
    assert len(refused) < 0.01 * (seen["counted"] + seen["late"]), refused[:3]
    assert seen.total() == SCHEMAS * MESSAGES
    wanted = {
        "counted",
        "late",
        "incompatible_schema",
        "undecodable",
        "trailing_bytes",
        "clicks_negative",
        "ad_id_not_utf8",
    }
    assert wanted <= seen.keys()
    assert seen["counted"] > SCHEMAS * MESSAGES // 5


def _by_avro(schema: Any, payload: bytes) -> tuple[Any, int]:
    """Return the event as Apache Avro's Python library resolves it, and the number of bytes that it read."""
    writer = avro.schema.parse(json.dumps(without_annotations(schema)))
    reader = avro.schema.parse(json.dumps(without_annotations(V2.schema)))
    out = io.BytesIO(payload)
    read = avro.io.DatumReader(writer, reader)
    return read.read(avro.io.BinaryDecoder(out)), out.tell()


# The library knows no aliases of records, and resolves no union at the top. It does not skip a block by its size.
def _is_able(schema: WriterSchema) -> bool:
    try:
        resolve(schema.schema, V2.schema)
    except Unresolvable:
        return False
    if isinstance(schema.schema, list) or schema.schema["name"] != "AdEvent":
        return False
    kinds = list(within(parse(schema.schema)))
    units = {"timestamp-micros", "timestamp-nanos"}
    return not any(each.logical in units or (each.kind == "bytes" and not each.logical) for each in kinds)


def test_apache_avros_python_library_reads_the_same_events(seed: int, drawn: list[WriterSchema]) -> None:
    compared = 0
    for schema in filter(_is_able, drawn):
        resolution = resolve(schema.schema, V2.schema)
        for value, _arrival in schema.messages(seed):
            try:
                event = resolution.read(value, wire.HEADER_BYTES).event
            except Unreadable:
                continue
            if "\udcff" in event["ad_id"] + (event["event_id"] or ""):
                continue
            where = f"seed {seed}, {schema.text}: {value.hex()}"
            try:
                found = _by_avro(schema.schema, value[wire.HEADER_BYTES :])
            except avro.errors.SchemaResolutionException:
                break  # the library refuses whole schemas, the specification single messages
            assert found == (event, len(value) - wire.HEADER_BYTES), where
            compared += 1
    print(f"{compared} compared")
    assert compared > SCHEMAS * MESSAGES // 20


def test_a_seed_gives_the_same_schemas_and_messages() -> None:
    one, two = writer_schemas(1), writer_schemas(1)
    assert [each.text for each in one] == [each.text for each in two]
    assert one[7].messages(3) == two[7].messages(3) != one[7].messages(4)
    assert len({each.text for each in one}) > SCHEMAS * 3 // 4
