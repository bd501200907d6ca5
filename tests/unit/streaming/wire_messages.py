"""Messages as Kafka stores them, made with fastavro, for tests of decode and judge."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import fastavro
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from common import contracts
from common.avro import wire

V1, V2 = contracts.history("ads_data")[:2]
# Ids as a registry might give them. They differ from the version numbers, and one uses all four bytes.
ID_V1, ID_V2 = 7, 0x01020304
WRITERS = {ID_V1: V1, ID_V2: V2}
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

KAFKA = T.StructType(
    [
        T.StructField("key", T.BinaryType()),
        T.StructField("value", T.BinaryType()),
        T.StructField("topic", T.StringType()),
        T.StructField("partition", T.IntegerType()),
        T.StructField("offset", T.LongType()),
        T.StructField("timestamp", T.TimestampType()),
    ]
)


def encoded(version: contracts.Contract = V2, **changes: Any) -> bytes:
    """Return one good event, with these changes and a header."""
    event = {"ad_id": "ad_1", "timestamp": NOW, "clicks": 1, "views": 4, "cost": 0.5, "event_id": None, **changes}
    return framed(version, ID_V1 if version is V1 else ID_V2, event)


def framed(contract: contracts.Contract, schema_id: int, event: dict[str, Any]) -> bytes:
    """Return the event as Avro by the contract, with the header of that schema id."""
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(contract.schema), event)
    return wire.frame(schema_id, payload.getvalue())


def kafka_rows(spark: SparkSession, values: Sequence[bytes | None], *, broker_time: datetime = NOW) -> DataFrame:
    """Return the values as the Kafka source would, at offsets 0, 1, 2, ... of partition 0."""
    rows = [(None, value, "ads_data", 0, offset, broker_time) for offset, value in enumerate(values)]
    return spark.createDataFrame(rows, KAFKA)
