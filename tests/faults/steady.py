"""Events that come all the time, and what must hold once a real-time job has taken all of them."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from common.kafka import end_offsets
from common.kafka.updates_group import Applied, behind
from common.settings import Settings
from tests.e2e.commands import MIX, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import Job
from tests.faults.account import Account
from tests.faults.faulty import settle

RATE = 200
APPLIED_SECONDS = 120
# Garbage schema ids come before: each new one starts the query again, and the fault would find none at work.
LIVE = (*MIX[: MIX.index("--broken")], "--broken", "0")


@contextmanager
def steady_events(pipeline: Pipeline, seed: int) -> Iterator[None]:
    """Some before the block; within it more of them all the time, from a producer that comes back after each fault."""
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    topic, ended = pipeline.settings.topic.ads, threading.Event()
    before = sum(end_offsets(pipeline.settings, topic).values())

    def produce() -> None:
        live = ("produce", "ads", "--rate", str(RATE), *LIVE)
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
    sent = sum(end_offsets(pipeline.settings, topic).values()) - before
    assert sent > RATE, "the producer sent next to nothing beside the faults"


def settled(account: Account, pipeline: Pipeline, job: Job) -> dict[str, int]:
    """The job takes all there is, and all of it is right; returns how many messages had which fate."""
    said = job.await_line(r"^batch \d+ .* lag 0")
    job.await_line(r"^batch \d+ .* lag 0", after=said)
    await_applied(pipeline.settings)
    code, lines, errors = job.end()
    assert code == 0, lines + errors
    return settle(account, pipeline, sum(end_offsets(pipeline.settings, pipeline.settings.topic.ads).values()))


def await_applied(settings: Settings) -> None:
    """Wait until all present rows are in the tables. A job that is asked to stop waits for them for 30 seconds only."""
    deadline = time.monotonic() + APPLIED_SECONDS
    with closing(Applied(settings, settings.topic.updates)) as applied:
        ends = applied.ends()
        while left := behind(applied.upto(ends, applied.topic_id()), ends):
            assert time.monotonic() < deadline, f"{left} rows are not applied"
            time.sleep(0.2)
