"""Each service of a real-time job is killed or hangs, one after the other, and its updates topic is deleted."""

import random
import time

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import applying_process, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job
from tests.faults.services import frozen, killed
from tests.faults.steady import LIVE, settled, steady_events

pytestmark = pytest.mark.timeout(1_500)  # for eight faults, of which four last for 20 seconds
FROZEN_SECONDS = 20.0


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
        with steady_events(pipeline, seed, LIVE):
            said = job.await_line(r"^batch 0 ")
            for fault in random.Random(seed).sample(FAULTS, len(FAULTS)):
                print(f"seed {seed}: {fault.__name__}")
                fault(job, pipeline)
                said = job.await_line(r"^batch \d+ ", after=said)
        assert min(settled(pipeline, job).values()) > 0  # each fate was met on the way
