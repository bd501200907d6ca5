"""The usual tutorial's pipeline in the same Spark session: default Kafka options, `collect()`, row by row.

It skips the 5 bytes in front of the Avro and decodes with one fixed schema. In foreachBatch it reads an ad's row, adds
the batch's windows, and writes the row back. The result is wrong: windows overlap, and updates and replays are added
again. Only its speed counts here. Where tutorials differ, it uses the faster way. It has one session for the whole run,
prepared statements, and state in memory. It has as many shuffle partitions as ad-metrics, and fastavro in the UDF.
"""

import functools
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import fastavro
from cassandra.cluster import Session
from pyspark.sql import Column, DataFrame, GroupedData, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.streaming.query import StreamingQuery

from benchmarks.peers.drained import Drained
from common import contracts, kafka
from common.avro import wire
from common.cassandra.session import connect
from common.settings import Settings

CONTRACT = contracts.latest("ads_data")
EVENT = "ad_id string, timestamp timestamp, clicks int, views int, cost double, event_id string"
TABLES = (
    "CREATE TABLE IF NOT EXISTS tutorial_totals (ad_id text PRIMARY KEY, clicks bigint, views bigint, cost double)",
    """CREATE TABLE IF NOT EXISTS tutorial_windows (
        ad_id text, start timestamp, clicks bigint, views bigint, cost double, PRIMARY KEY (ad_id, start)
    )""",
)

Save = Callable[[DataFrame, int], None]


def one_query(spark: SparkSession, settings: Settings, topic: str) -> Drained:
    """Decode with `from_avro`, and add the windows of a batch to the totals."""
    with _tables(settings) as session:
        windows = _windowed(_events(spark, settings, topic, from_avro(_payload(), json.dumps(CONTRACT.schema))))
        return _run([(windows, _added(session))])


def two_queries(spark: SparkSession, settings: Settings, topic: str) -> Drained:
    """Decode with a Python UDF; run one query for the windows, and another for the totals."""
    with _tables(settings) as session:
        decoded = F.udf(_decode, EVENT, useArrow=False)(_payload())
        windows = _windowed(_events(spark, settings, topic, decoded))
        totals = _summed(_events(spark, settings, topic, decoded).groupBy("ad_id"))
        return _run([(windows, _inserted(session)), (totals, _added(session))])


@contextmanager
def _tables(settings: Settings) -> Iterator[Session]:
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        for table in TABLES:
            session.execute(table, timeout=60)
        yield session


def _payload() -> Column:
    return F.substring("value", wire.HEADER_BYTES + 1, 2**31 - 1)


def _decode(payload: bytes) -> tuple[object, ...]:
    event = fastavro.schemaless_reader(io.BytesIO(payload), _parsed(), None)
    return tuple(event[name] for name in ("ad_id", "timestamp", "clicks", "views", "cost", "event_id"))


@functools.cache
def _parsed() -> dict[str, Any]:
    return fastavro.parse_schema(CONTRACT.schema)


def _events(spark: SparkSession, settings: Settings, topic: str, event: Column) -> DataFrame:
    options = {**kafka.spark_options(settings.kafka), "subscribe": topic, "startingOffsets": "earliest"}
    messages = spark.readStream.format("kafka").options(**options).load()
    return messages.select(event.alias("event")).select("event.*").withWatermark("timestamp", "10 minutes")


def _windowed(events: DataFrame) -> DataFrame:
    return _summed(events.groupBy(F.window("timestamp", "1 minute", "30 seconds"), "ad_id"))


def _summed(groups: GroupedData) -> DataFrame:
    return groups.agg(F.sum("clicks").alias("clicks"), F.sum("views").alias("views"), F.sum("cost").alias("cost"))


def _added(session: Session) -> Save:
    read = session.prepare("SELECT clicks, views, cost FROM tutorial_totals WHERE ad_id = ?")
    write = session.prepare("INSERT INTO tutorial_totals (ad_id, clicks, views, cost) VALUES (?, ?, ?, ?)")

    def save(rows: DataFrame, _batch_id: int) -> None:
        for row in rows.collect():
            was = session.execute(read, (row.ad_id,)).one() or (0, 0, 0.0)
            session.execute(write, (row.ad_id, was[0] + row.clicks, was[1] + row.views, was[2] + row.cost))

    return save


def _inserted(session: Session) -> Save:
    write = session.prepare("INSERT INTO tutorial_windows (ad_id, start, clicks, views, cost) VALUES (?, ?, ?, ?, ?)")

    def save(rows: DataFrame, _batch_id: int) -> None:
        for row in rows.collect():
            session.execute(write, (row.ad_id, row.window.start, row.clicks, row.views, row.cost))

    return save


def _run(queries: list[tuple[DataFrame, Save]]) -> Drained:
    """Process the whole topic.

    The seconds go from the start of the first batch with data to the end of the last.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        started = [
            frame.writeStream.outputMode("update")
            .trigger(availableNow=True)
            .option("checkpointLocation", f"{folder}/{number}")
            .foreachBatch(save)
            .start()
            for number, (frame, save) in enumerate(queries)
        ]
        for query in started:
            query.awaitTermination()
        whole = time.perf_counter() - began
        batches = [batch for query in started for batch in _batches(query)]
    events = sum(taken for taken, _, _ in batches) // len(started)
    return Drained(events, (max(end for *_, end in batches) - min(begin for _, begin, _ in batches)), whole)


def _batches(query: StreamingQuery) -> Iterator[tuple[int, float, float]]:
    """Yield the number of events, the begin and the end of each batch with data."""
    for progress in (json.loads(each.json) for each in query.recentProgress):
        if progress["numInputRows"]:
            begin = datetime.fromisoformat(progress["timestamp"]).timestamp()
            yield progress["numInputRows"], begin, begin + progress["durationMs"]["triggerExecution"] / 1_000
