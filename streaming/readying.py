"""What a job's first batch would wait for, made ready while the driver plans that batch.

The plan is made on one core, for seconds: Spark's planner runs for the first time. Meanwhile another thread loads
RocksDB's library, starts Spark's Python workers, and has them connect to Cassandra.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from adstream.errors import SinkError
from adstream.settings import CassandraSettings, Settings
from streaming.python_workers import settle
from streaming.sinks.cassandra import RowWriter


def make_ready(spark: SparkSession, settings: Settings, *, tables: bool) -> threading.Thread:
    """Begin, and return the thread. `tables` says that the job writes to Cassandra.

    Whatever fails here fails again in the batch, which reports it. At the end of the session Spark ends this, too.
    """
    thread = threading.Thread(target=_make_ready, args=(spark, settings, tables), daemon=True)
    thread.start()
    return thread


def _make_ready(spark: SparkSession, settings: Settings, tables: bool) -> None:
    with contextlib.suppress(Exception):
        if settings.spark.state_store == "rocksdb":
            java: Any = spark._jvm
            java.org.rocksdb.RocksDB.loadLibrary()
        if tables:
            workers = spark.sparkContext.defaultParallelism
            each = spark.range(0, workers, 1, workers)
            each.mapInArrow(_connected(settings.cassandra), "id bigint").collect()


def _connected(settings: CassandraSettings) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def connect(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with contextlib.suppress(SinkError):
            RowWriter(settings).finish()
        settle()
        yield from batches

    return connect
