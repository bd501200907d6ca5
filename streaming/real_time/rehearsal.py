"""Run the code of a pause often, so that the pause between two batches is short.

HotSpot compiles code that has run often, and a processor keeps what has run lately. A real-time query commits, plans,
starts its tasks and looks at all known ids once in minutes. So this code would be slow whenever it is needed.
"""

import threading
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from stack.spark_environment import is_local

# In the first minute this takes some ten seconds of one core, later a hundredth of a core.
BATCHES, PLANS = 12, 12
_ROWS = 20_000
_BATCH_SECONDS = 2.0
_PAUSE_SECONDS, _LATER_SECONDS = 4.0, 20.0
_LOOK_SECONDS = 0.2


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
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        spark = self._rows.sparkSession
        jvm: Any = spark._jvm
        with suppress(Py4JError, PySparkException):  # a JVM that ends is told elsewhere
            if self._batches and is_local(str(spark.sparkContext.master)):
                self._run_batches(spark.newSession())
            while not self._stopping.wait(self._pause if self.planned < self._plans else _LATER_SECONDS):
                jvm.PythonSQLUtils.explainString(self._rows._jdf.queryExecution(), "simple")
                self.planned += 1

    def _run_batches(self, spark: SparkSession) -> None:
        spark.conf.set("spark.sql.shuffle.partitions", 1)
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
        query = (
            counted.writeStream.queryName("rehearsal")
            .format("noop")
            .outputMode("update")
            .trigger(processingTime=f"{_BATCH_SECONDS} seconds")
            .start()
        )
        while self.ran < self._batches and query.isActive and not self._stopping.wait(_LOOK_SECONDS):
            last = query.lastProgress
            self.ran = last["batchId"] + 1 if last else 0
        query.stop()
