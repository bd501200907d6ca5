"""Events that come all the time, and what must hold once a real-time job has taken all of them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from common.kafka import end_offsets
from tests.e2e.commands import MIX, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import Job
from tests.faults.account import Account
from tests.faults.faulty import settle

RATE = 200
# Garbage schema ids come before: each new one starts the query again, and the fault would find none at work.
LIVE = (*MIX[: MIX.index("--broken")], "--broken", "0")


@contextmanager
def steady_events(pipeline: Pipeline, seed: int) -> Iterator[None]:
    """Some before the block; within it more of them all the time, from a producer that comes back after each fault."""
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    ended = threading.Event()

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


def settled(account: Account, pipeline: Pipeline, job: Job) -> dict[str, int]:
    """The job takes all there is, and all of it is right; returns how many messages had which fate."""
    said = job.await_line(r"^batch \d+ .* lag 0")
    job.await_line(r"^batch \d+ .* lag 0", after=said)
    code, lines, errors = job.end()
    assert code == 0, lines + errors
    return settle(account, pipeline, sum(end_offsets(pipeline.settings, pipeline.settings.topic.ads).values()))
