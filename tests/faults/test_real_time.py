"""Faults under a job in real-time mode: every total is right in the end, no offset is missing, and no row goes back."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from adstream.kafka import end_offsets
from tests.e2e.commands import MIX, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import applying_process, kill_tree, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job
from tests.faults.faulty import ledger
from tests.faults.services import frozen, killed

# Some start Spark twice, and wait for a fault's end eight times.
pytestmark = pytest.mark.timeout(1_500)
# As long as a fault that is not over at once lasts.
FROZEN_SECONDS = 20.0
RATE = 200


@contextmanager
def steady_events(pipeline: Pipeline, seed: int) -> Iterator[None]:
    """Some before the block; within it more of them all the time, from a producer that comes back after each fault."""
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    ended = threading.Event()

    def produce() -> None:
        live = ("produce", "ads", "--rate", str(RATE), *MIX)
        while not ended.is_set():
            with started(*live) as producer:
                while producer.poll() is None and not ended.wait(0.2):
                    pass
                producer.send_signal(signal.SIGTERM)
                producer.communicate(timeout=120)

    running = threading.Thread(target=produce)
    running.start()
    try:
        yield
    finally:
        ended.set()
        running.join()


def settled(pipeline: Pipeline, job: Job) -> None:
    """The job takes all there is, and all of it is right."""
    said = job.await_line(r"^batch \d+ .* lag 0")
    job.await_line(r"^batch \d+ .* lag 0", after=said)
    code, lines, errors = job.end()
    assert code == 0, lines + errors
    ledger(pipeline, sum(end_offsets(pipeline.settings, pipeline.settings.topic.ads).values()))


def is_pausing(checkpoint: Path, before: int) -> bool:
    """Whether the batch after this one has ended, and is about to be committed."""
    return (checkpoint / "offsets" / str(before + 1)).exists()


def kill_in_the_middle(job: Job, _pipeline: Pipeline, chance: random.Random) -> None:
    time.sleep(chance.uniform(0.5, 4))  # somewhere in a batch
    kill_tree(job.pid)


def kill_in_the_pause(job: Job, pipeline: Pipeline, _chance: random.Random) -> None:
    last = max(int(file.name) for file in (pipeline.checkpoint / "commits").iterdir() if file.name.isdigit())
    deadline = time.monotonic() + 60
    while not is_pausing(pipeline.checkpoint, last):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    kill_tree(job.pid)


@pytest.mark.parametrize("fault", [pytest.param(kill_in_the_middle, marks=pytest.mark.thorough), kill_in_the_pause])
def test_a_driver_that_is_killed_goes_on(
    pipeline: Pipeline, seed: int, fault: Callable[[Job, Pipeline, random.Random], None]
) -> None:
    with watched(pipeline.settings):
        with steady_events(pipeline, seed), real_time_job(pipeline) as job:
            job.await_line(r"^batch 1 ")
            fault(job, pipeline, random.Random(seed))
        with real_time_job(pipeline) as again:
            settled(pipeline, again)


def kill_applying(job: Job, _pipeline: Pipeline) -> None:
    applying_process(job.pid).kill()


def freeze_applying(job: Job, _pipeline: Pipeline) -> None:
    victim = applying_process(job.pid)
    victim.suspend()
    time.sleep(FROZEN_SECONDS)
    victim.resume()


def freeze_driver(job: Job, _pipeline: Pipeline) -> None:
    family = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    time.sleep(FROZEN_SECONDS)
    for process in family:
        process.resume()


def kill_cassandra(_job: Job, pipeline: Pipeline) -> None:
    with killed(pipeline.settings, "cassandra"):
        pass


def freeze_cassandra(_job: Job, pipeline: Pipeline) -> None:
    with frozen(pipeline.settings, "cassandra"):
        time.sleep(FROZEN_SECONDS)


def kill_kafka(_job: Job, pipeline: Pipeline) -> None:
    with killed(pipeline.settings, "kafka"):
        pass


def freeze_kafka(_job: Job, pipeline: Pipeline) -> None:
    with frozen(pipeline.settings, "kafka"):
        time.sleep(FROZEN_SECONDS)


def delete_updates(_job: Job, pipeline: Pipeline) -> None:
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    topic = pipeline.settings.topic.updates
    admin.delete_topics([topic], operation_timeout=60)[topic].result(timeout=60)


FAULTS = [
    kill_applying, freeze_applying, freeze_driver, kill_cassandra, freeze_cassandra, kill_kafka, freeze_kafka,
    delete_updates,
]  # fmt: skip


def test_whatever_fails_meanwhile_nothing_is_lost_and_no_row_goes_back(pipeline: Pipeline, seed: int) -> None:
    """One fault after the other under one job: each finds it at work, and leaves it at work."""
    with real_time_job(pipeline) as job, watched(pipeline.settings):
        with steady_events(pipeline, seed):
            said = job.await_line(r"^batch 0 ")
            for fault in random.Random(seed).sample(FAULTS, len(FAULTS)):
                print(f"seed {seed}: {fault.__name__}")
                fault(job, pipeline)
                said = job.await_line(r"^batch \d+ ", after=said)
        settled(pipeline, job)


@pytest.mark.thorough
def test_a_second_driver_that_no_lock_keeps_away_changes_nothing(pipeline: Pipeline, seed: int) -> None:
    with watched(pipeline.settings), steady_events(pipeline, seed), real_time_job(pipeline) as old:
        old.await_line(r"^batch 1 ")
        os.kill(old.pid, signal.SIGSTOP)
        # Another machine would not see the lock.
        (pipeline.checkpoint / "adstream.lock").unlink()
        with real_time_job(pipeline) as new:
            said = new.await_line(r"^batch \d+ ")
            os.kill(old.pid, signal.SIGCONT)
            new.await_line(r"^batch \d+ ", after=said)
    with real_time_job(pipeline) as last:
        settled(pipeline, last)
