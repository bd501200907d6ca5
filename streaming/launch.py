"""From a job and its options to a running session: what `adstream stream`, the demo and the tests have in common."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from adstream.settings import Settings
from streaming import prerequisites
from streaming.job import Job
from streaming.runner import Listener, Options, Runner
from streaming.session import spark_session
from streaming.sinks.iceberg import IcebergTable
from streaming.sinks.memory import Memory


def launch(
    settings: Settings,
    job: Job,
    options: Options,
    *,
    listener: Listener,
    stopping: threading.Event,
    master: str | None = None,
) -> None:
    """Run the job to its end and close its session. A job that writes elsewhere than usual keeps no checkpoint."""
    with tempfile.TemporaryDirectory(prefix="adstream-passing-") as passing:
        kept = options.checkpoint or str(settings.checkpoints / job.name)
        checkpoint = absolute(kept) if options.sinks is None else passing
        prerequisites.require(settings, job, options)
        listener.notice(f"starting Spark for {job.name}")
        sinks = job.sinks if options.sinks is None else options.sinks
        lakehouse = any(isinstance(sink, IcebergTable) for sink in sinks)
        with spark_session(settings, job.name, master=master, lakehouse=lakehouse) as spark:
            ready = replace(options, checkpoint=checkpoint)
            Runner(spark, settings, job, ready, listener=listener, stopping=stopping).run()


@contextmanager
def computed(
    settings: Settings, job: Job, options: Options, listener: Listener, stopping: threading.Event, view: str
) -> Iterator[SparkSession]:
    """A session in which the job's rows over its input are the temporary view `view`; nothing is kept afterwards."""
    memory = Memory(job.key)
    listener.notice(f"starting Spark for {job.name}")
    with (
        tempfile.TemporaryDirectory(prefix="adstream-passing-") as passing,
        spark_session(settings, job.name) as spark,
    ):
        ready = replace(options, checkpoint=passing, sinks=(memory,))
        Runner(spark, settings, job, ready, listener=listener, stopping=stopping).run()
        memory.view(spark, view)
        yield spark


def absolute(folder: str) -> str:
    """The folder from wherever Spark works: a path from the root, or the URI as it is."""
    return folder if "://" in folder else str(Path(folder).absolute())
