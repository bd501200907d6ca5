"""Run the code of a pause often, so that the pause between two batches is short.

HotSpot compiles code that has run often, and a processor keeps what has run lately. A real-time query commits, plans,
starts its tasks and looks at all known ids once in minutes. So this code would be slow whenever it is needed.
"""

import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from stack.spark_environment import is_local

BATCHES, PLANS = 12, 12
_ROWS = 20_000
# A longer time than a batch takes, so that the query can be stopped between two.
_BATCH_SECONDS = 4.0
# After this time the small query ends in any case.
MOST_SECONDS = 60.0
_PAUSE_SECONDS, _LATER_SECONDS = 4.0, 20.0
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 5.0
# The JVM may end at any moment, and that is told elsewhere. py4j then connects anew, so OSError is among them.
_GONE = (Py4JError, PySparkException, OSError)


class Rehearsal:
    """Runs a small query like the job's, then plans `rows` again and again, in a thread of its own until it is stopped.

    The small query counts invented rows in micro-batches, and keeps nothing. On a cluster the tasks run elsewhere, so
    it is left out there. `plans` are made with short pauses between them, and more with longer ones. Nobody uses them.
    """

    def __init__(
        self, rows: DataFrame, *, batches: int = BATCHES, plans: int = PLANS, pause: float = _PAUSE_SECONDS
    ) -> None:
        self.ran = self.planned = 0
        self._rows, self._batches, self._plans, self._pause = rows, batches, plans, pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rehearsal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Does not wait long for a JVM that hangs."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        spark = self._rows.sparkSession
        with suppress(*_GONE):
            small = self._batches and is_local(str(spark.sparkContext.master))
            if small and not self._stopping.wait(self._pause):
                self._run_batches(spark.newSession())
        with suppress(*_GONE):
            jvm: Any = spark._jvm
            while not self._stopping.wait(self._pause if self.planned < self._plans else _LATER_SECONDS):
                jvm.PythonSQLUtils.explainString(self._rows._jdf.queryExecution(), "simple")
                self.planned += 1

    def _run_batches(self, spark: SparkSession) -> None:
        spark.conf.set("spark.sql.shuffle.partitions", 1)
        # Spark would write a snapshot of the state a minute after the query has ended.
        spark.conf.set("spark.sql.streaming.stateStore.minDeltasForSnapshot", 1_000)
        counted = (
            spark.readStream.format("rate-micro-batch")
            .options(rowsPerBatch=_ROWS, numPartitions=1, startTimestamp=0, advanceMillisPerBatch=60_000)
            .load()
            .select("timestamp", F.concat(F.lit("rehearsal-"), "value").alias("identity"))
            .withWatermark("timestamp", "1 hour")
            .dropDuplicates(["identity", "timestamp"])
            .groupBy(F.window("timestamp", "1 minute"), F.substring("identity", -2, 2))
            .count()
        )
        with tempfile.TemporaryDirectory(prefix="adstream-rehearsal-", ignore_cleanup_errors=True) as folder:
            query = (
                counted.writeStream.queryName("rehearsal")
                .format("noop")
                .outputMode("update")
                .option("checkpointLocation", Path(folder).as_uri())
                .trigger(processingTime=f"{_BATCH_SECONDS} seconds")
                .start()
            )
            try:
                self._await_batches(query)
            finally:
                query.stop()

    def _await_batches(self, query: StreamingQuery) -> None:
        """Wait until the batches have run and none is running. A batch that is cut leaves an error in Spark's log."""
        end = time.monotonic() + MOST_SECONDS
        while query.isActive and time.monotonic() < end and not self._stopping.wait(_LOOK_SECONDS):
            # PySpark's own lastProgress makes hundreds of calls.
            last = query._jsq.lastProgress()
            self.ran = 0 if last is None else last.batchId() + 1
            if self.ran >= self._batches and not query._jsq.status().isTriggerActive():
                return
