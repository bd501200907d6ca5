"""Plan a query again and again beside its first batch, so that the pause before the next batch is short.

Half of the pause between two batches is planning. HotSpot compiles code that has run often, and a query plans once in
minutes. So the first pauses would run planning's code for the first times, many times slower than compiled.
"""

import threading
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

# Together a few seconds of one core, in the first minute.
TIMES = 12
_PAUSE_SECONDS = 4.0


class Rehearsal:
    """Plans `rows` some times in a thread of its own, until it is stopped. Its plans are not used."""

    def __init__(self, rows: DataFrame, *, times: int = TIMES, pause: float = _PAUSE_SECONDS) -> None:
        self.planned = 0
        self._rows, self._times, self._pause = rows, times, pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rehearsal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        jvm: Any = self._rows.sparkSession._jvm
        with suppress(Py4JError, PySparkException):  # a JVM that ends is told elsewhere
            while self.planned < self._times and not self._stopping.wait(self._pause):
                jvm.PythonSQLUtils.explainString(self._rows._jdf.queryExecution(), "simple")
                self.planned += 1
