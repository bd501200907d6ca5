"""Runs an `adstream` command whose driver is killed or stopped at a chosen point of a chosen batch.

    python -m tests.faults.driver POINT BATCH SECONDS stream ad-metrics ...

| POINT | what happens |
|---|---|
| `before` | the driver kills itself before it writes the batch's rows |
| `during` | the driver kills itself SECONDS after the write began |
| `after` | the driver kills itself after the write, before Spark's commit |
| `stopped` | SIGSTOP stops the driver before the write, as if it hung; SIGCONT lets it continue |
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
    """Kill the whole process tree with SIGKILL, so that the JVM and the workers write nothing more."""
    me = psutil.Process()
    for process in [*me.children(recursive=True), me]:
        process.kill()


def meet_fault(point: str, batch: int, seconds: float) -> None:
    """Replace the batch writer by one that meets the fault in the chosen batch."""
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
