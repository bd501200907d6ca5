"""What a start makes ready beside the planning of its first batch."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from adstream.settings import Settings
from streaming.readying import make_ready
from streaming.sinks import cassandra
from tests.e2e.pipeline import Pipeline

PATIENCE_SECONDS = 120.0


def connected(spark: SparkSession) -> list[bool]:
    """Whether the worker of each task has a session with Cassandra already."""

    def look(_batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"connected": [cassandra._open is not None]})

    rows = spark.range(0, 2, 1, 2).mapInArrow(look, "connected boolean").collect()
    return [row["connected"] for row in rows]


def test_python_workers_are_connected_to_cassandra(spark: SparkSession, pipeline: Pipeline) -> None:
    readying = make_ready(spark, pipeline.settings, tables=True)
    readying.join(PATIENCE_SECONDS)
    assert not readying.is_alive()
    assert any(connected(spark))  # one worker may have done both tasks


def test_what_cannot_be_made_ready_is_left_to_the_batch(spark: SparkSession) -> None:
    settings = Settings()
    settings.cassandra = settings.cassandra.model_copy(update={"port": 1, "timeout_seconds": 1.0})
    readying = make_ready(spark, settings, tables=True)
    readying.join(PATIENCE_SECONDS)
    assert not readying.is_alive()
    assert connected(spark) != []
