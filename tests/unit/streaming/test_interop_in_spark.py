"""The job reads from other encoders' bytes the values that were encoded, with all schemas in one plan."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from common.contracts import Contract
from streaming.events.decode import decode
from streaming.events.judge import judge
from tests.interop.messages import ARRIVAL, Message, messages, schemas
from tests.unit.streaming.wire_messages import V2, kafka_rows

MESSAGES = messages()
IDS = {case: 2_000 + place for place, case in enumerate(schemas())}


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> dict[str, Row]:
    writers = {IDS[case]: Contract(V2.subject, IDS[case], schema) for case, schema in schemas().items()}
    values = [message.framed(IDS[message.case]) for message in MESSAGES]
    arrived = kafka_rows(spark, values, broker_time=datetime.fromtimestamp(ARRIVAL / 1_000, UTC))
    judged = judge(decode(arrived, writers, V2), V2, lateness=timedelta(minutes=10))
    found = judged.withColumn("millis", F.unix_millis("event.timestamp")).orderBy("offset").collect()
    return dict(zip(map(str, MESSAGES), found, strict=True))


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_the_job_reads_what_was_written(message: Message, rows: dict[str, Row]) -> None:
    row = rows[str(message)]
    assert ("dead" if row["outcome"] else "counted") == message.fate
    if message.reason:
        assert row["outcome"] == message.reason
    if message.seen is not None:
        assert _seen(row) == message.seen


def _seen(row: Row) -> dict[str, Any]:
    event = row["event"].asDict()
    micros = (Decimal(repr(event["cost"])) * 1_000_000).quantize(Decimal(1), ROUND_HALF_UP)
    seen = {name: event[name] for name in ("ad_id", "clicks", "views", "event_id")}
    return {**seen, "timestamp": row["millis"], "cost_micros": int(micros)}
