"""Starts jobs that meet a fault, and checks the ledger afterwards."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

from adstream.verify.ad_metrics import Verified
from tests.e2e.commands import SECONDS, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SMALL_BATCH, Job
from tests.faults.account import Account, Figures

ROOT = Path(__file__).parents[2]


def ledger(pipeline: Pipeline, messages: int, tell: Callable[[Verified], None] = lambda _found: None) -> dict[str, int]:
    """Return the number of messages per fate. `tell` gets the result also where something differs.

    Fails unless every cell equals the oracle's, each message has exactly one fate, and each dead message is in the
    dead-letter topic.
    """
    fates = pipeline.verified(tell).fates
    assert sum(fates.values()) == messages == len(pipeline.messages())
    places = set()
    for letter in pipeline.dead_letters():
        headers = dict(letter.headers() or [])
        places.add((headers["adstream.partition"], headers["adstream.offset"]))
    assert len(places) == fates["dead"]
    return fates


def settle(account: Account, pipeline: Pipeline, messages: int) -> dict[str, int]:
    """The same after the last fault of a test; the account gets the figures, and when the job committed again."""

    def tell(found: Verified) -> None:
        ledger, comparison = found.ledger, found.comparison
        account.figures = Figures(ledger.offsets, ledger.unexplained, comparison.cells, comparison.different)

    account.recovered_in(pipeline.checkpoint)
    return ledger(pipeline, messages, tell)


def await_a_point(job: Job, chance: random.Random) -> tuple[int, str]:
    """Wait until a random point of one of the first batches. Return how many lines the job has said, and the point."""
    batch, wait = chance.randrange(3), chance.uniform(0, 0.5)
    said = job.await_line(rf"^batch {batch} ")
    time.sleep(wait)
    return said, f"{wait:.2f} s after batch {batch}"


def require_one_line(job: Job) -> None:
    """End the job. If it has ended before, then with one line."""
    code, lines, errors = job.end()
    assert code == 0 or errors.count("\n") == 1, lines + errors


def in_small_batches() -> dict[str, str]:
    return {"ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH": str(SMALL_BATCH)}


def started_faulty(
    pipeline: Pipeline, point: str, batch: int, seconds: float = 0
) -> AbstractContextManager[Popen[str]]:
    """Start the job, which reads the topic to its end in small batches and meets the fault (tests.faults.driver)."""
    command = (point, str(batch), str(seconds), *pipeline.stream_command, "--once")
    return started(*command, module="tests.faults.driver", **in_small_batches(), PYTHONPATH=str(ROOT))


def run_faulty(pipeline: Pipeline, point: str, batch: int, seconds: float = 0) -> tuple[int, str]:
    """Run the job of `started_faulty` to its end. Return its exit code and its standard error."""
    with started_faulty(pipeline, point, batch, seconds) as running:
        _, errors = running.communicate(timeout=SECONDS)
        return running.returncode, errors
