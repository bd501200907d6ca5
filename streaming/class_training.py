"""Run Spark for its class archive (streaming.spark.class_archive): load the classes of ad-metrics, without any service.

`python -m streaming.class_training OPTIONS` starts a driver with these Java options, and lets it end normally. Java
writes an archive only at a normal exit.
"""

import contextlib
import io
import json
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common import contracts
from common.avro import wire
from common.settings import Settings
from stack import parts
from streaming.events.decode import decode
from streaming.jobs import find
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.sinks.sink import Sink, Write
from streaming.sources import Folder
from streaming.spark.session import open_session

_WRITING_SECONDS = 120.0
_BATCHES = 2
_SCHEMA_ID = 1
# Prefixes of further classes that a job over a topic uses. Without a broker no training run would load them.
_KAFKA = ("org/apache/spark/sql/kafka010/", "org/apache/kafka/clients/", "org/apache/kafka/common/")


class _ToWorkers(Sink):
    """A sink that passes rows to Python's workers, as the tables' sink does, and drops them there."""

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return lambda rows, _stamp: sum(row["rows"] for row in rows.mapInArrow(_counted, "rows bigint").collect())


def _counted(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict({"rows": [sum(batch.num_rows for batch in batches)]})


def train(java_options: str) -> None:
    """Run the job in two batches on a driver with these options, and wait until its JVM has ended."""
    with tempfile.TemporaryDirectory(prefix="adstream-passing-") as passing:
        folder = Path(passing)
        settings = Settings()
        settings.data_dir = folder / "data"
        spark = open_session(settings, "class-archive", java_options=java_options)
        _stream(spark, settings, folder)
        _decode(spark)
        _load_kafka(spark)
        jvm = SparkContext._gateway.proc  # type: ignore[union-attr]
        spark.stop()
        jvm.stdin.close()  # the driver waits for this to end
        if jvm.wait(_WRITING_SECONDS):
            raise SystemExit(f"Java ended with {jvm.returncode}")


def _stream(spark: SparkSession, settings: Settings, folder: Path) -> None:
    inputs = folder / "events"
    inputs.mkdir()
    for number in range(_BATCHES):
        (inputs / f"{number}.json").write_text(json.dumps(_event(int(time.time()))), encoding="utf-8")
    job = find("ad-metrics")
    options = Options(
        job.trigger,
        once=True,
        checkpoint=str(folder / "checkpoint"),
        source=Folder(inputs, files_per_batch=1),
        sinks=(_ToWorkers(),),
    )
    listener = Listener(batch=print, notice=print)
    Runner(spark, settings, job, options, listener=listener, stopping=threading.Event()).run()


def _event(timestamp: object) -> dict[str, object]:
    return {"ad_id": "ad", "timestamp": timestamp, "clicks": 1, "views": 2, "cost": 0.5, "event_id": "id"}


def _decode(spark: SparkSession) -> None:
    """Decode Avro, which a folder of JSON does not need."""
    contract = contracts.latest(find("ad-metrics").contract)
    payload = io.BytesIO()
    fastavro.schemaless_writer(payload, fastavro.parse_schema(contract.schema), _event(datetime.now(UTC)))
    value = wire.frame(_SCHEMA_ID, payload.getvalue())
    messages: DataFrame = spark.createDataFrame([(bytearray(value),)], "value binary")
    print(decode(messages, {_SCHEMA_ID: contract}, contract).collect())


def _load_kafka(spark: SparkSession) -> None:
    """Load the classes of Kafka's client and of Spark's source without running them.

    They save a second, and take 30 MB of the archive.
    """
    java: Any = spark._jvm.java.lang  # type: ignore[union-attr]
    loader = java.ClassLoader.getSystemClassLoader()
    for jar in parts.jars("spark"):
        with zipfile.ZipFile(jar) as archive:
            names = [name.removesuffix(".class") for name in archive.namelist() if name.endswith(".class")]
        for name in names:
            if name.startswith(_KAFKA):
                with contextlib.suppress(Py4JError):  # some need libraries that are not used here
                    java.Class.forName(name.replace("/", "."), False, loader)


if __name__ == "__main__":
    train(sys.argv[1])
