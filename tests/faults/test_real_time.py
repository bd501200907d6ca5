"""Faults under a job in real-time mode. The totals end right, no offset is missing, and no row goes back."""

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from common.contracts import Contract
from common.reasons import UNKNOWN_SCHEMA_ID
from common.registry import RegistryClient
from tests.e2e.commands import changed_contract
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import frozen_tree, kill_tree, real_time_job
from tests.e2e.row_watch import watched
from tests.e2e.running_job import Job
from tests.faults.account import Account
from tests.faults.steady import settled, steady_events
from tests.unit.streaming.wire_messages import framed

# These tests start Spark twice.
pytestmark = pytest.mark.timeout(1_500)


def is_pausing(checkpoint: Path, before: int) -> bool:
    """Return whether the batch after `before` has ended and its commit comes next."""
    return (checkpoint / "offsets" / str(before + 1)).exists()


def numbers(folder: Path) -> list[int]:
    return sorted(int(file.name) for file in folder.glob("*") if file.name.isdigit())


def kill_in_the_middle(account: Account, job: Job, _pipeline: Pipeline, chance: random.Random) -> None:
    wait = chance.uniform(0.5, 4)
    time.sleep(wait)  # to a random point of a batch
    with account.fault("driver and applying process killed", f"{wait:.2f} s after batch 1"):
        kill_tree(job.pid)


def kill_in_the_pause(account: Account, job: Job, pipeline: Pipeline, _chance: random.Random) -> None:
    last = numbers(pipeline.checkpoint / "commits")[-1]
    deadline = time.monotonic() + 60
    while not is_pausing(pipeline.checkpoint, last):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    with account.fault("driver and applying process killed", f"batch {last + 1}, between its end and its commit"):
        kill_tree(job.pid)


@pytest.mark.parametrize("fault", [pytest.param(kill_in_the_middle, marks=pytest.mark.thorough), kill_in_the_pause])
def test_a_driver_that_is_killed_goes_on(
    pipeline: Pipeline, account: Account, seed: int, fault: Callable[[Account, Job, Pipeline, random.Random], None]
) -> None:
    with watched(pipeline.settings):
        with steady_events(pipeline, seed), real_time_job(pipeline) as job:
            job.await_line(r"^batch 1 ")
            fault(account, job, pipeline, random.Random(seed))
        with real_time_job(pipeline) as again:
            settled(account, pipeline, again)


def test_a_second_driver_that_no_lock_keeps_away_changes_nothing(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    with watched(pipeline.settings), steady_events(pipeline, seed), real_time_job(pipeline) as old:
        old.await_line(r"^batch 1 ")
        with ExitStack() as successor:
            what = "driver's machine frozen and its lock gone, until a successor has counted"
            # The JVM, too: it would go on with the query by itself.
            with account.fault(what, "after batch 1"), frozen_tree(old.pid):
                # A driver on another machine would not see the lock.
                (pipeline.checkpoint / "adstream.lock").unlink()
                new = successor.enter_context(real_time_job(pipeline))
                said = new.await_line(r"^batch \d+ ")
            old.await_end()
            code, _, error = old.end()
            assert (code, error.count("\n")) == (1, 1), error
            assert error.startswith("error: another driver runs on checkpoint"), error
            new.await_line(r"^batch \d+ ", after=said)
    with real_time_job(pipeline) as last:
        settled(account, pipeline, last)


def contract_with(topic: str, field: str) -> Contract:
    return changed_contract(topic, {"name": field, "type": ["null", "string"], "default": None})


def send(pipeline: Pipeline, contract: Contract, schema_id: int) -> Message:
    """Send one good event in this schema, with this id in its header. Return the message."""
    sent: list[Message] = []
    event = {"ad_id": "ad-new", "timestamp": datetime.now(UTC), "clicks": 1, "views": 2, "cost": 0.5}
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    value = framed(contract, schema_id, event)
    producer.produce(pipeline.settings.topic.ads, value, b"ad-new", on_delivery=lambda _error, told: sent.append(told))
    assert producer.flush(30) == 0
    return sent[0]


def await_committed_and_not_settled(pipeline: Pipeline, message: Message) -> int:
    """Wait for the commit of the batch with the message. Return its number, before the job has settled it."""
    deadline = time.monotonic() + 120
    while True:
        newest = numbers(pipeline.checkpoint / "commits")[-1]
        ends = json.loads((pipeline.checkpoint / "offsets" / str(newest)).read_text().splitlines()[-1])
        if ends[pipeline.settings.topic.ads][str(message.partition())] > (message.offset() or 0):
            assert numbers(pipeline.checkpoint / "settled")[-1] < newest
            return newest
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.thorough
def test_a_batch_is_settled_by_the_schemas_of_its_own_plan_also_by_the_next_driver(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    """The schema of a message is registered after its batch was committed, and before its dead letter is written."""
    registry, topic = RegistryClient(pipeline.settings.registry), pipeline.settings.topic.ads
    next_id = registry.register(contract_with(f"{topic}-probe", "probe")) + 1
    newer = contract_with(topic, "country")
    with watched(pipeline.settings):
        with steady_events(pipeline, seed), real_time_job(pipeline) as job:
            job.await_line(r"^batch 0 ")
            message = send(pipeline, newer, next_id)
            batch = await_committed_and_not_settled(pipeline, message)
            with account.fault("driver and applying process killed", f"batch {batch}, between its commit and settling"):
                kill_tree(job.pid)
        assert registry.register(newer) == next_id
        with real_time_job(pipeline) as again:
            settled(account, pipeline, again)
            said = again.said()
    letters = [dict(letter.headers() or []) for letter in pipeline.dead_letters()]
    place = str(message.partition()).encode(), str(message.offset()).encode()
    own = [each for each in letters if (each["adstream.partition"], each["adstream.offset"]) == place]
    assert {each["adstream.reason"] for each in own} == {UNKNOWN_SCHEMA_ID.encode()}, said
