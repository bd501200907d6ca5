"""Each service of a real-time job is killed or hangs, one after the other, and its updates topic is deleted."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
from confluent_kafka.admin import AdminClient

from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import applying_process, frozen_tree, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job
from tests.faults.account import Account, Fault
from tests.faults.services import frozen, killed
from tests.faults.steady import settled, steady_events

pytestmark = pytest.mark.timeout(1_500)  # for eight faults, of which four last for 20 seconds
FROZEN_SECONDS = 20.0


# Begins and ends a fault by its name; a service that was killed starts, and a frozen process goes on, when it ends.
Told = Callable[[str], AbstractContextManager[Fault]]


def kill_applying(job: Job, _pipeline: Pipeline, told: Told) -> None:
    with told("applying process killed"):
        applying_process(job.pid).kill()


def freeze_applying(job: Job, _pipeline: Pipeline, told: Told) -> None:
    with told("applying process frozen for 20 s"):
        victim = applying_process(job.pid)
        victim.suspend()
        time.sleep(FROZEN_SECONDS)
        victim.resume()


def freeze_driver(job: Job, _pipeline: Pipeline, told: Told) -> None:
    with told("driver and applying process frozen for 20 s"), frozen_tree(job.pid):
        time.sleep(FROZEN_SECONDS)


def kill_cassandra(_job: Job, pipeline: Pipeline, told: Told) -> None:
    with killed(pipeline.settings, "cassandra"), told("Cassandra killed"):
        pass


def freeze_cassandra(_job: Job, pipeline: Pipeline, told: Told) -> None:
    with frozen(pipeline.settings, "cassandra"), told("Cassandra frozen for 20 s"):
        time.sleep(FROZEN_SECONDS)


def kill_kafka(_job: Job, pipeline: Pipeline, told: Told) -> None:
    with killed(pipeline.settings, "kafka"), told("Kafka killed"):
        pass


def freeze_kafka(_job: Job, pipeline: Pipeline, told: Told) -> None:
    with frozen(pipeline.settings, "kafka"), told("Kafka frozen for 20 s"):
        time.sleep(FROZEN_SECONDS)


def delete_updates(_job: Job, pipeline: Pipeline, told: Told) -> None:
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    topic = pipeline.settings.topic.updates
    with told("updates topic deleted"):
        admin.delete_topics([topic], operation_timeout=60)[topic].result(timeout=60)


FAULTS = [
    kill_applying, freeze_applying, freeze_driver, kill_cassandra, freeze_cassandra, kill_kafka, freeze_kafka,
    delete_updates,
]  # fmt: skip


def test_whatever_fails_meanwhile_nothing_is_lost_and_no_row_goes_back(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    """One fault after the other under one job: each finds it at work, and leaves it at work."""
    with real_time_job(pipeline) as job, watched(pipeline.settings):
        with steady_events(pipeline, seed):
            said = job.await_line(r"^batch 0 ")
            for number, fault in enumerate(random.Random(seed).sample(FAULTS, len(FAULTS)), start=1):
                print(f"seed {seed}: {fault.__name__}")
                fault(job, pipeline, partial(account.fault, when=f"{number} of {len(FAULTS)} in this run"))
                said = job.await_line(r"^batch \d+ ", after=said)
        assert min(settled(account, pipeline, job).values()) > 0  # each fate was met on the way
