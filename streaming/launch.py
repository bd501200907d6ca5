"""From a job and its options to a running session: the common part of `adstream stream`, the demo and the tests."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from common import kafka
from common.settings import Settings
from stack import spark_environment
from streaming.job import Job
from streaming.monitoring.endpoint import served
from streaming.monitoring.listener import Listener
from streaming.monitoring.monitor import Monitor
from streaming.query import prerequisites
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.real_time.runner import RealTimeRunner
from streaming.real_time.suits import slots
from streaming.sinks.memory import Memory
from streaming.sinks.sink import need_iceberg
from streaming.spark.session import spark_session


def launch(
    settings: Settings,
    job: Job,
    options: Options,
    *,
    listener: Listener,
    stopping: threading.Event,
    master: str | None = None,
    serve: bool = False,
) -> None:
    """Run the job to its end and close its session.

    A job with other sinks than its own keeps no checkpoint. With `serve` its endpoint answers during the run, unless
    the settings turn it off.
    """
    settings = _in_real_time(settings) if options.real_time else settings
    with _checkpoint(settings, job, options) as checkpoint:
        prerequisites.require(settings, job, options)
        lakehouse = need_iceberg(options.sinks_of(job))
        with _served(settings, job, options, listener) if serve else nullcontext(listener) as told:
            where = master or (_with_slots(settings, job, options) if options.real_time else settings.spark.master)
            if unused := spark_environment.worth_telling(where, [checkpoint]):
                told.notice(f"not used by a job on {where}: {', '.join(unused)}")
            told.notice(f"starting Spark for {job.name}")
            with spark_session(settings, job.name, master=where, lakehouse=lakehouse, places=[checkpoint]) as spark:
                ready = replace(options, checkpoint=checkpoint)
                if options.real_time:
                    RealTimeRunner(
                        spark, settings, job, ready, listener=told, stopping=stopping, applied=told.applied
                    ).run()
                else:
                    Runner(spark, settings, job, ready, listener=told, stopping=stopping).run()


@contextmanager
def _checkpoint(settings: Settings, job: Job, options: Options) -> Iterator[str]:
    """The folder of the job's checkpoint, or one that is gone afterwards where it keeps none."""
    if options.sinks is None:
        yield absolute(options.checkpoint or str(settings.checkpoints / job.name))
    else:
        with tempfile.TemporaryDirectory(prefix="adstream-passing-") as passing:
            yield passing


def _in_real_time(settings: Settings) -> Settings:
    """Return the settings with the number of state partitions for real-time mode.

    One partition keeps the order of a topic's partition up to the row. Events counted again after a crash then give the
    same states in the same order. So no sum is ever less than a reader has seen.
    """
    changed = copy(settings)
    changed.spark = settings.spark.model_copy(update={"shuffle_partitions": settings.spark.real_time_partitions})
    return changed


def _with_slots(settings: Settings, job: Job, options: Options) -> str:
    """Return a local master with a slot for every task. The tasks wait more than they compute."""
    if not spark_environment.is_local(settings.spark.master):
        return settings.spark.master
    partitions = len(kafka.end_offsets(settings, options.source_of(settings, job).name))
    wanted = slots(partitions, settings.spark.shuffle_partitions, dedupe=bool(job.parameters.get("dedupe")))
    return f"local[{wanted}]"


@contextmanager
def _served(settings: Settings, job: Job, options: Options, listener: Listener) -> Iterator[Listener]:
    monitor = Monitor(job.name, options.source_of(settings, job).name, options.trigger, real_time=options.real_time)
    with served(settings, monitor) as url:
        if url is not None:
            listener.notice(f"metrics, health and progress: {url}/metrics, /health, /ready, /progress")
        yield monitor.listening(listener)


@contextmanager
def computed(
    settings: Settings, job: Job, options: Options, listener: Listener, stopping: threading.Event, view: str
) -> Iterator[SparkSession]:
    """Open a session with the temporary view `view`: the job's rows over its input. Nothing stays afterwards."""
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
    """Return the folder as Spark sees it from any working directory: an absolute path, or the URI unchanged."""
    return folder if "://" in folder else str(Path(folder).absolute())
