"""Ten thousand drawn messages through the job's plan: its reasons and counts equal plain Python's.

`diagnose` (adstream.dead_letters.diagnosis) gives each message's reason, and the oracle its fate. Both decode and judge
without Spark. The test fails unless every possible reason of an ad event is among the messages.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.verify.judge import Judge, Judged
from common import reasons
from common.avro import wire
from common.contracts import Contract
from common.errors import SchemaNotFound
from common.event_rules import reasons as broken_rules
from common.lateness.delays import rounded_up
from common.registry import Registered
from streaming import jobs
from streaming.micro_batch.pipeline import Pipeline
from streaming.micro_batch.running_counts import counts_of
from streaming.patterns.ad_metrics import LATENESS, SLIDE
from tests.patterns.test_bad_input import (
    NOW,
    VERSIONS,
    WRITERS,
    expected_tables,
    fate_of,
    fates,
    messages,
    same,
    same_tables,
)
from tests.property.payloads import Maker, Payload, Pool
from tests.unit.streaming.wire_messages import V2
from tests.unit.test_wire_formats import BY_BYTES

COUNT, OF_EACH = 10_000, 40
MINUTE, SLIDE_MILLIS = 60_000, SLIDE // timedelta(milliseconds=1)
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
REFUSED = {
    50: {"type": "record", "name": "Else", "fields": [{"name": "other", "type": "long"}]},
    51: {**V2.schema, "fields": [*V2.schema["fields"], {"name": "node", "type": ["null", NODE], "default": None}]},
}
# Some ids are in the order of their registration, and some are not. The plan compares the newest first.
SCHEMAS = {**WRITERS, **{each: Contract(V2.subject, each, json.dumps(text)) for each, text in REFUSED.items()}}
# A late event is never too old, so a stream's batch never gives this reason. Spark reads headers only when it reads a
# batch again.
NEVER = {"timestamp_before_1970"}
EVERY = {
    *(reasons.EMPTY, reasons.SHORT, reasons.WRONG_MAGIC_BYTE, reasons.UNKNOWN_SCHEMA_ID, reasons.OTHER_WIRE_FORMAT),
    *(reasons.RECURSIVE_SCHEMA, reasons.INCOMPATIBLE_SCHEMA, reasons.UNDECODABLE, reasons.TRAILING_BYTES),
    *(set(broken_rules(V2.schema, "timestamp")) - NEVER),
}


def unknown(schema_id: int) -> str:
    raise SchemaNotFound(f"id {schema_id}")


def rare(make: Maker) -> Iterator[tuple[str, bytes]]:
    """Yield cases that the usual kinds lack: other registries' formats, refused schemas, and breaches of each rule."""
    for value, _ in BY_BYTES.values():
        yield "other format", value
    for schema_id in REFUSED:
        yield "refused schema", wire.frame(schema_id, make.good()[wire.HEADER_BYTES :])
    for ad_id in (b"", b"  ", b"x" * 513, b"a\xff"):
        yield "ad_id", with_values(make, ad_id=ad_id)
    for event_id in (b"x" * 513, b"\xc3\x28"):
        yield "event_id", with_values(make, event_id=event_id)
    for cost in (-0.5, float("nan"), float("-inf"), 1e7):
        yield "cost", with_values(make, cost=cost)
    yield "clicks", with_values(make, clicks=-1)
    yield "views", with_values(make, views=-1)
    yield "ahead", with_values(make, timestamp=NOW + 3 * MINUTE)
    yield "late", with_values(make, timestamp=NOW - make.rng.randrange(12, 90) * MINUTE)
    yield "short", make.good()[: make.rng.randrange(1, wire.HEADER_BYTES)]


def with_values(make: Maker, **changes: object) -> bytes:
    message, version = make.event(values=False)
    for name, value in changes.items():
        setattr(message, name, value)
    return message.encoded(max(version, 2) if "event_id" in changes else version)


def drawn(seed: int) -> list[Payload]:
    make = Maker(Pool(seed, True, ["ad"], [0.1], [0], [b"\x00", b"\xff"], 0.5), VERSIONS, NOW)
    payloads = make.payloads(COUNT, large=0)
    payloads += [Payload(kind, b"ad-1", value, NOW) for _ in range(OF_EACH) for kind, value in rare(make)]
    random.Random(seed).shuffle(payloads)
    return payloads


def late_pairs(payloads: list[Payload], judged: list[Judged]) -> Counter[tuple[int, int]]:
    """Return (start of the newest window in microseconds, rounded delay in seconds) -> late events."""
    found: Counter[tuple[int, int]] = Counter()
    for payload, mine in zip(payloads, judged, strict=True):
        if mine.outcome == "late":
            time = max(mine.timestamp, 0)
            delay = rounded_up(math.ceil((payload.arrival - time) / 1_000))
            found[(time - time % SLIDE_MILLIS) * 1_000, delay] += 1
    return found


def test_every_reason_and_every_count_is_that_of_plain_python(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    payloads = drawn(seed)
    writers = {each: Registered(each, contract.version, contract.text) for each, contract in SCHEMAS.items()}
    diagnose = Diagnoser("ads_data-value", writers, unknown, V2, takes_json=False)
    oracle = Judge({each: contract.schema for each, contract in SCHEMAS.items()}, LATENESS)
    judged = [oracle.judge(0, offset, each.arrival, each.value) for offset, each in enumerate(payloads)]
    expected = [
        "late" if mine.outcome == "late" else diagnose(each.value, [], each.arrival).reason
        for each, mine in zip(payloads, judged, strict=True)
    ]
    plan = Pipeline(jobs.find("ad-metrics"), SCHEMAS, json=False)
    rows = messages(spark, payloads, tmp_path / "messages.parquet")

    outcomes = [row["outcome"] for row in plan.judged(rows).select("offset", "outcome").orderBy("offset").collect()]
    differ = [each for each in zip(payloads, outcomes, expected, strict=True) if each[1] != each[2]]
    assert differ == []
    same(payloads, fates(plan.judged(rows)), [fate_of(each) for each in judged])

    table = plan.rows(rows)
    same_tables(table.collect(), expected_tables(judged))
    seen = counts_of(table._jdf.queryExecution())
    dead = Counter(reason for reason in expected if reason not in (None, "late"))
    print(dict(dead))
    assert set(dead) == EVERY
    assert (seen.messages, seen.late, seen.dead) == (len(payloads), expected.count("late"), dead.total())
    assert seen.dead_by_reason == dead
    assert seen.unknown == dead[reasons.UNKNOWN_SCHEMA_ID]
    assert seen.late_pairs == late_pairs(payloads, judged)
