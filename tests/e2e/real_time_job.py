"""ad-metrics in real-time mode beside the test."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.e2e.commands import started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import Job

# The shortest trigger that Spark takes.
TRIGGER = "5s"


@contextmanager
def real_time_job(pipeline: Pipeline, *options: str, trigger: str = TRIGGER, **environment: str) -> Iterator[Job]:
    """Run the job until the block ends, and then kill its whole family."""
    command = (*pipeline.stream_command, "--real-time", "--trigger", trigger, *options)
    with started(*command, **environment) as running:
        job = Job(running)
        try:
            yield job
        finally:
            kill_tree(running.pid)
            job.kill()


def family(pid: int) -> list[psutil.Process]:
    """Return the driver, its JVM and its applying process; nothing if the driver is gone."""
    try:
        driver = psutil.Process(pid)
        return [driver, *driver.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_tree(pid: int) -> None:
    """Kill the driver, its JVM and its applying process at once, as `kill -9` does."""
    for process in family(pid):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


@contextmanager
def frozen_tree(pid: int) -> Iterator[None]:
    """Freeze the driver, its JVM and its applying process until the block ends, as if their machine hung."""
    victims = family(pid)
    for process in victims:
        process.suspend()
    try:
        yield
    finally:
        for process in victims:
            process.resume()


def applying_process(pid: int) -> psutil.Process:
    """Return the driver's child that applies the rows. Wait for a new one if it has just ended."""
    deadline = time.monotonic() + 60
    while True:
        for child in psutil.Process(pid).children():
            try:
                if "apply" in child.cmdline():
                    return child
            except psutil.Error:
                continue  # this child has ended meanwhile
        assert time.monotonic() < deadline
        time.sleep(0.1)
