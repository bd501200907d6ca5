"""`adstream` whose driver meets its fault at a chosen point of a chosen batch.

    python -m tests.faults.driver POINT BATCH SECONDS stream ad-metrics ...

POINT is `before` the batch's rows are written, `during` the write (SECONDS after it began), `after` the write and
before Spark's commit; or `stopped`: before the batch's rows are written SIGSTOP stops the driver, as if it hangs, and
SIGCONT lets it go on.
"""

import os
import signal
import sys
import threading

import psutil
from pyspark.sql import DataFrame

from adstream.cli import main
from streaming.micro_batch.writer import BatchWriter


def kill_all() -> None:
    """As `kill -9` of the whole process tree: the JVM and the workers write nothing more either."""
    me = psutil.Process()
    for process in [*me.children(recursive=True), me]:
        process.kill()


def meet_fault(point: str, batch: int, seconds: float) -> None:
    """Let the writer of the chosen batch meet its fault."""
    write = BatchWriter._write

    def faulty(self: BatchWriter, rows: DataFrame, batch_id: int) -> None:
        if batch_id == batch and point == "before":
            kill_all()
        if batch_id == batch and point == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        if batch_id == batch and point == "during":
            threading.Timer(seconds, kill_all).start()
        write(self, rows, batch_id)
        if batch_id == batch and point in ("during", "after"):
            kill_all()

    BatchWriter._write = faulty  # type: ignore[method-assign]


if __name__ == "__main__":
    point, batch, seconds, *command = sys.argv[1:]
    meet_fault(point, int(batch), float(seconds))
    sys.argv = ["adstream", *command]
    main()
