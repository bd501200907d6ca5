"""No message can hurt the job: ten thousand bad ones a run get the same fates from an independent judge.

Each example is one Spark batch, with messages made in bulk (tests.property.payloads). A failure prints the shortest
message that differs. Nothing is shrunk, because a seed always gives the same messages.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cassandra import cqltypes
from hypothesis import HealthCheck, Phase, given, settings
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from adstream.verify.judge import Judge, Judged
from adstream.verify.oracle import Expected, Sums, expect
from common import contracts
from common.avro import wire
from streaming import jobs
from streaming.events.decode import decode
from streaming.events.judge import judge
from streaming.micro_batch.counting import counted
from streaming.micro_batch.pipeline import Pipeline
from streaming.patterns.ad_metrics import LATENESS, SLIDE, WINDOW
from streaming.patterns.money import micros
from streaming.patterns.sensors import sensor_averages
from streaming.sinks.cql_values import encoder
from tests.patterns.pattern_runs import as_stream, by_key
from tests.property.payloads import LARGE, LENGTHS, SPOILERS, Maker, Payload, Pool, pools, varint
from tests.property.sensor_texts import Texts, judged_text, sensor_texts
from tests.unit.streaming.wire_messages import ID_V1, ID_V2, KAFKA, V1, V2

EXAMPLES, EACH = 8, 1_250
ID_V3 = 900
NOW = 1_772_366_400_000
ARRIVAL = datetime.fromtimestamp(NOW / 1_000, UTC)


def newer(field: dict[str, Any]) -> contracts.Contract:
    """Return the newest contract with one more field."""
    return contracts.Contract(V2.subject, 3, json.dumps({**V2.schema, "fields": [*V2.schema["fields"], field]}))


COUNTRY = {"name": "country", "type": ["null", "string"], "default": None}
V3 = newer(COUNTRY)
WRITERS = {ID_V1: V1, ID_V2: V2, ID_V3: V3}
VERSIONS = {ID_V1: 1, ID_V2: 2, ID_V3: 3}
JUDGE = Judge({schema_id: writer.schema for schema_id, writer in WRITERS.items()}, LATENESS)
AD_METRICS = Pipeline(jobs.find("ad-metrics"), WRITERS, json=False)

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=False,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    # An example is a Spark job, so it is slow. The session is shared by all examples.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Fate(NamedTuple):
    """The fate of a message.

    `counts` has the values of a counted event: ad, milliseconds, clicks, views, millionths, id.
    """

    outcome: str
    counts: tuple[Any, ...] | None = None


def messages(spark: SparkSession, payloads: Sequence[Payload], file: Path) -> DataFrame:
    """Return the payloads as the Kafka source would, at offsets 0, 1, 2, ... of partition 0."""
    columns = {
        "key": pa.array([each.key for each in payloads], pa.binary()),
        "value": pa.array([each.value for each in payloads], pa.binary()),
        "topic": pa.array(["ads_data"] * len(payloads)),
        "partition": pa.array([0] * len(payloads), pa.int32()),
        "offset": pa.array(range(len(payloads)), pa.int64()),
        "timestamp": pa.array([each.arrival * 1_000 for each in payloads], pa.timestamp("us", tz="UTC")),
    }
    # Each file needs a new name, because Spark caches a file's size by name.
    path = file.with_name(f"{len(list(file.parent.iterdir()))}-{file.name}")
    pq.write_table(pa.table(columns), path, row_group_size=500)
    return spark.read.parquet(str(path))


def fates(judged: DataFrame) -> list[Fate]:
    """Return the fates that Spark gives, in the order of the offsets."""
    event = F.col("event")
    counts = F.struct(
        event["ad_id"].alias("ad_id"),
        F.unix_millis(event["timestamp"]).alias("millis"),
        event["clicks"].alias("clicks"),
        event["views"].alias("views"),
        micros(event["cost"]).alias("micros"),
        F.when(event["event_id"] != "", event["event_id"]).alias("event_id"),
    )
    rows = judged.select("offset", "outcome", F.when(F.col("outcome").isNull(), counts).alias("counts"))
    return [_fate(row) for row in rows.orderBy("offset").collect()]


def _fate(row: Row) -> Fate:
    if row["outcome"] is None:
        return Fate("counted", tuple(row["counts"]))
    return Fate("late" if row["outcome"] == "late" else "dead")


def fate_of(judged: Judged) -> Fate:
    if judged.outcome != "counted":
        return Fate(judged.outcome)
    own = judged.ad_id, judged.timestamp, judged.clicks, judged.views, judged.cost_micros, judged.event_id
    return Fate("counted", own)


def by_oracle(payloads: Sequence[Payload]) -> list[Judged]:
    return [JUDGE.judge(0, offset, each.arrival, each.value) for offset, each in enumerate(payloads)]


def same(payloads: Sequence[Payload], found: Sequence[Fate], expected: Sequence[Fate]) -> None:
    """Fail with the shortest message whose fates differ."""
    wrong = [each for each in zip(payloads, found, expected, strict=True) if each[1] != each[2]]
    if wrong:
        payload, has, must = min(wrong, key=lambda each: len(each[0].value or b""))
        value = payload.value if payload.value is None else payload.value[:300].hex()
        pytest.fail(f"{len(wrong)} differ; {payload.kind}, arrival {payload.arrival}: {value}\n{has}, must be {must}")


def same_tables(rows: Sequence[Row], expected: Expected) -> None:
    kept = by_key(rows, "kind", "ad_id", "window_start").values()
    windows = {(r["ad_id"], r["window_start"].astimezone(UTC)): _sums(r) for r in kept if r["kind"] == "window"}
    assert windows == expected.windows
    assert {row["ad_id"]: _sums(row) for row in kept if row["kind"] == "total"} == expected.totals


def _sums(row: Row) -> Sums:
    return Sums(row["total_clicks"], row["total_views"], row["total_cost"], row["avg_cost_per_view"])


def encodes(rows: Sequence[Row]) -> None:
    """Check that Cassandra's driver reads from our bytes the values that we encoded."""
    types = {
        "ad_id": cqltypes.UTF8Type, "total_clicks": cqltypes.LongType, "total_views": cqltypes.LongType,
        "total_cost": cqltypes.DecimalType, "avg_cost_per_view": cqltypes.DecimalType,
    }  # fmt: skip
    for row in rows:
        for name, cql_type in types.items():
            value = row[name]
            assert value is None or cql_type.deserialize(encoder(cql_type, 5)(value), 5) == value


def expected_tables(judged: Sequence[Judged]) -> Expected:
    return expect(judged, window=WINDOW, slide=SLIDE, dedupe=True)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Counter[str]]:
    """The fates of all examples' messages. A test of dead letters alone would prove little."""
    seen: Counter[str] = Counter()
    yield seen
    print(dict(seen))


@many
@given(pool=pools())
def test_every_message_has_the_same_fate_in_spark_and_in_plain_python(
    spark: SparkSession, tmp_path: Path, outcomes: Counter[str], pool: Pool
) -> None:
    print(f"seed {pool.seed}")
    payloads = Maker(pool, VERSIONS, NOW).payloads(EACH)
    rows = messages(spark, payloads, tmp_path / "messages.parquet")
    judged = by_oracle(payloads)
    same(payloads, fates(AD_METRICS.judged(rows)), [fate_of(each) for each in judged])
    table = AD_METRICS.rows(rows).collect()
    same_tables(table, expected_tables(judged))
    encodes(table)
    outcomes.update(each.outcome for each in judged)


def test_ten_thousand_were_tried_and_all_fates_occurred(outcomes: Counter[str]) -> None:
    assert outcomes.total() >= EXAMPLES * EACH
    assert min(outcomes[fate] for fate in ("counted", "late", "dead")) > 100


def test_as_a_stream_the_tables_are_those_of_the_oracle(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    payloads = Maker(Pool(seed, True, ["ad"], [0.1], [0], [b"\x00"], 0.5), VERSIONS, NOW).payloads(900)
    events = [
        (each.key, each.value, "ads_data", 0, offset, datetime.fromtimestamp(each.arrival / 1_000, UTC))
        for offset, each in enumerate(payloads)
    ]
    batches = [events[start : start + 300] for start in range(0, 900, 300)]
    rows = as_stream(spark, tmp_path, batches, KAFKA, AD_METRICS.rows, crash_at=1)
    same_tables(rows, expected_tables(by_oracle(payloads)))


def test_lengths_that_lie_take_no_memory_and_nesting_no_stack(spark: SparkSession, tmp_path: Path) -> None:
    runtime = spark.sparkContext._jvm.java.lang  # type: ignore[union-attr]
    limits = ("string.maxLength", "bytes.maxLength", "collectionItems.maxLength")
    assert {runtime.System.getProperty(f"org.apache.avro.limits.{name}") for name in limits} == {"1048576"}
    assert spark.sparkContext.getConf().get("spark.driver.memory") == "1g"
    tags = {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}
    node: dict[str, Any] = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    nested = {"name": "nested", "type": ["null", {"type": "array", "items": node}], "default": None}
    with_tags, with_nested = (newer(field) for field in (tags, nested))
    good = Maker(Pool(0, True, ["ad"], [0.1], [0], [b""], 0.0), {ID_V2: 2}, NOW).good()
    # A node within a node. That is one level of recursion, and our limit is none.
    deep = b"\x02\x02" + b"\x02\x00" + b"\x00"
    lies = [
        *(wire.frame(7, good[5:] + varint(each) + b"\x00") for each in LENGTHS),
        *(good[:5] + varint(each) for each in LENGTHS),
    ]
    values = [
        wire.frame(7, good[5:] + b"\x00"),
        wire.frame(8, good[5:] + deep),
        wire.frame(8, good[5:] + b"\x00"),
        *lies,
    ]
    payloads = [Payload("length", None, value, NOW) for value in values]
    rows = messages(spark, payloads, tmp_path / "lengths.parquet")
    decoded = decode(rows, {ID_V2: V2, 7: with_tags, 8: with_nested}, V2).select("offset", "problem")
    problems = [row["problem"] for row in decoded.orderBy("offset").collect()]
    assert problems == [None, "recursive_schema", "recursive_schema", *["undecodable"] * len(lies)]
    oracle = Judge({8: with_nested.schema}, LATENESS)
    assert {oracle.judge(0, 0, NOW, value).outcome for value in values[1:3]} == {"dead"}
    assert runtime.Runtime.getRuntime().maxMemory() <= 1024**3


@pytest.mark.parametrize("kind", [*SPOILERS, *LARGE])
def test_each_kind_alone_is_judged_alike(kind: str) -> None:
    """Needs no Spark. A kind of bad input must give a dead letter at least once."""
    make = Maker(Pool(1, False, ["ad"], [0.1], [0], [b"\x00", b"\xff"], 1.0), VERSIONS, NOW)
    values = [{**SPOILERS, **LARGE}[kind](make) for _ in range(3 if kind in LARGE else 100)]
    assert "dead" in {JUDGE.judge(0, 0, NOW, value).outcome for value in values}


@settings(many, max_examples=3)
@given(drawn=sensor_texts)
def test_json_is_valid_or_undecodable_as_plain_python_says(spark: SparkSession, tmp_path: Path, drawn: Texts) -> None:
    print(f"seed {drawn.seed}")
    texts = drawn.made(1_000)
    [readings] = contracts.history("sensor_readings")
    payloads = [Payload("JSON", None, text, NOW) for text in texts]
    rows = messages(spark, payloads, tmp_path / "texts.parquet")
    judged = judge(decode(rows, {}, readings, json=True), readings)
    event = F.col("event")
    counts = F.struct(event["sensor_id"].alias("sensor_id"), event["temperature"].alias("temperature"))
    decoded = F.when(F.col("problem").isNull(), counts).alias("counts")
    found = judged.select("offset", "problem", decoded).orderBy("offset").collect()
    same(
        payloads,
        [
            Fate("valid", (row["counts"]["sensor_id"], repr(row["counts"]["temperature"])))
            if row["counts"]
            else Fate(row["problem"])
            for row in found
        ],
        [Fate(*judged_text(text)) for text in texts],
    )
    averages = sensor_averages(counted(judged)).collect()
    assert all(row["window_end"] - row["window_start"] == timedelta(minutes=5) for row in averages)


def test_times_at_the_ends_of_the_calendar_end_no_batch_of_a_job_that_calls_nothing_late(
    spark: SparkSession, tmp_path: Path
) -> None:
    [readings] = contracts.history("sensor_readings")
    last = (2**63 - 1) // 1_000
    times = [-last, -last + 1, -(2**46), -62_135_596_800_001, -1, 0, NOW, last, last - 1, 253_402_300_800_000]
    values = [wire.frame(5, b"\x02s" + bytes(8) + varint(time)) for time in times]
    rows = messages(spark, [Payload("time", None, value, NOW) for value in values], tmp_path / "times.parquet")
    judged = judge(decode(rows, {5: readings}, readings), readings)
    averages = sensor_averages(counted(judged)).collect()
    assert sorted(row["window_start"].astimezone(UTC) for row in averages) == [
        datetime(1970, 1, 1, tzinfo=UTC),
        ARRIVAL,
    ]
