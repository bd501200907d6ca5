"""Rows of a real-time job as messages: their keys, their versions, and whether every job's rows are readable."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import fastavro
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from common import contracts
from common.avro import wire
from common.errors import ConfigError
from common.reasons import UNKNOWN_SCHEMA_ID
from streaming.events.unplanned import refuse_unplanned
from streaming.jobs import JOBS, find
from streaming.micro_batch.pipeline import Pipeline
from streaming.patterns.versions import NEWEST
from streaming.real_time.changelog import STARTS, Versions, avro_text, contract_of, messages
from streaming.real_time.suits import refusal
from streaming.recovery.checkpoint import Checkpoint

AT = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
LEASE = 1_772_366_400_000_000
SUITED = [name for name, job in JOBS.items() if "update" in job.modes and not refusal(job.in_mode("update"))]


def ad_rows(spark: SparkSession) -> DataFrame:
    fields = "ad_id string, timestamp timestamp, clicks int, views int, cost double, event_id string, position string"
    events = [("ad-1", AT, 1, 3, 0.5, "a", "t:0:0"), ("ad-1", AT + timedelta(seconds=1), 0, 0, 0.25, "b", "t:0:1")]
    return find("ad-metrics").compute(spark.createDataFrame(events, fields).withColumn(NEWEST, F.col("timestamp")))


def read(message: bytes, text: str) -> dict[str, object]:
    assert message[:5] == wire.header(7)
    found = fastavro.schemaless_reader(io.BytesIO(message[5:]), fastavro.parse_schema(json.loads(text)))
    assert isinstance(found, dict)
    return found


def test_a_row_is_a_message_of_its_key_with_a_version_that_counts_its_events(spark: SparkSession) -> None:
    job, rows = find("ad-metrics"), ad_rows(spark)
    contract = contract_of(job, "mine", rows.schema)
    assert (contract.subject, contract.text) == ("mine-value", contracts.latest("ad_metrics.updates").text)
    sent = messages(rows, job.key, contract, 7, Versions(LEASE, start=18)).collect()
    found = {bytes(row["key"]).decode(): read(bytes(row["value"]), contract.text) for row in sent}
    assert found == {
        '{"kind":"total","ad_id":"ad-1"}': {
            "version": LEASE + 2 * STARTS + 2,
            "newest_event": AT + timedelta(seconds=1),
            "kind": "total",
            "ad_id": "ad-1",
            "window_start": None,
            "window_end": None,
            "total_clicks": 1,
            "total_views": 3,
            "total_cost": Decimal("0.750000"),
            "avg_cost_per_view": Decimal("0.250000"),
        },
        **{
            f'{{"kind":"window","ad_id":"ad-1","window_start":"2026-03-01T{start}.000Z"}}': {
                **found['{"kind":"total","ad_id":"ad-1"}'],
                "kind": "window",
                "window_start": datetime.fromisoformat(f"2026-03-01T{start}Z"),
                "window_end": datetime.fromisoformat(f"2026-03-01T{start}Z") + timedelta(minutes=1),
            }
            for start in ("12:00:00", "11:59:30")
        },
    }


@pytest.mark.parametrize("name", SUITED)
def test_what_any_job_computes_can_be_read_by_its_own_contract(spark: SparkSession, name: str) -> None:
    job = find(name).in_mode("update")
    fields = "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp"
    writers = {7: contracts.latest(job.contract)}
    rows = Pipeline(job, writers, json=job.json, real_time=True).rows(spark.createDataFrame([], fields))
    contract = contract_of(job, "mine", rows.schema)
    names = [field["name"] for field in json.loads(contract.text)["fields"]]
    assert names[:2] == ["version", "newest_event"]
    assert sorted(names) == sorted(rows.columns)
    assert messages(rows, job.key, contract, 7, Versions(LEASE, 0)).collect() == []


def test_a_column_that_has_no_place_in_a_row_is_named() -> None:
    rows = StructType([StructField("version", LongType()), StructField("tags", ArrayType(StringType()))])
    with pytest.raises(ConfigError, match=r"^ad-clicks does not .* its column tags is a array<string>; cast it to "):
        avro_text(find("ad-clicks"), rows)


def test_a_later_state_has_the_larger_version_and_a_later_start_wins_a_tie(spark: SparkSession) -> None:
    counts = spark.range(1, 200).select("id", Versions(LEASE, 3).of(F.col("id")).alias("v")).orderBy("id").collect()
    assert all(before["v"] < after["v"] for before, after in pairwise(counts))
    [row] = spark.range(1).select(*(Versions(LEASE, s).of(F.lit(5)).alias(f"s{s}") for s in range(STARTS))).collect()
    assert list(row) == sorted(set(row))
    assert max(row) < LEASE + STARTS * 6


def test_a_message_of_an_unplanned_schema_ends_the_query_unless_it_was_asked_for(spark: SparkSession) -> None:
    rows = [(wire.header(9) + b"x", UNKNOWN_SCHEMA_ID), (wire.header(1) + b"y", None)]
    judged = spark.createDataFrame(rows, "value binary, outcome string")
    with pytest.raises(PySparkException, match="does not plan for schema id 9"):
        refuse_unplanned(judged, (), {1}).collect()
    with pytest.raises(PySparkException, match="does not plan for schema id 9"):
        refuse_unplanned(judged, (8,), {1}).collect()
    assert [row["outcome"] for row in refuse_unplanned(judged, (8, 9), {1}).collect()] == [UNKNOWN_SCHEMA_ID, None]


@pytest.mark.parametrize("largest", [1, 200_000])
def test_an_id_far_above_those_of_the_plan_is_garbage_and_ends_nothing(spark: SparkSession, largest: int) -> None:
    def judged(found: int) -> DataFrame:
        return spark.createDataFrame([(wire.header(found), UNKNOWN_SCHEMA_ID)], "value binary, outcome string")

    for garbage in (largest + 1_000_001, 0x7F00_0000, 2**32 - 1):
        [row] = refuse_unplanned(judged(garbage), (), {1, largest}).collect()
        assert row["outcome"] == UNKNOWN_SCHEMA_ID
    with pytest.raises(PySparkException, match=f"does not plan for schema id {largest + 1_000_000}"):
        refuse_unplanned(judged(largest + 1_000_000), (), {1, largest}).collect()


def test_a_checkpoint_goes_back_to_a_batch_and_forgets_the_later_ones(spark: SparkSession, tmp_path: Path) -> None:
    checkpoint = Checkpoint(spark, str(tmp_path))
    for folder in ("offsets", "commits"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / str(number)).write_text("v1", encoding="utf-8")
    checkpoint.mark("applied", 0)
    checkpoint.mark("applied", 2)
    assert checkpoint.marked("applied") == 2
    assert [file.name for file in (tmp_path / "applied").iterdir() if file.name.isdigit()] == ["2"]
    assert checkpoint.marked("settled") is None
    assert checkpoint.committed_after(1) == [2, 3]
    checkpoint.back_to(1)
    assert (checkpoint.batches(), checkpoint.committed_after(-1)) == ([0, 1], [0, 1])
    checkpoint.back_to(-1)
    assert (checkpoint.batches(), checkpoint.committed_after(-1)) == ([], [])
