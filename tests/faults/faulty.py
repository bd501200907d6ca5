"""Runs that meet a fault, and what must hold afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import IN_SMALL_BATCHES, SECONDS

MIX = ("--ads", "12", "--late", "0.05", "--out-of-order", "0.1", "--duplicates", "0.1", "--broken", "0.05")


def ledger(pipeline: Pipeline, messages: int) -> dict[str, int]:
    """Every cell is the oracle's, every message has one fate, and each dead one lies in the dead-letter topic."""
    fates = pipeline.verified().fates
    assert sum(fates.values()) == messages == len(pipeline.messages())
    places = set()
    for letter in pipeline.dead_letters():
        headers = dict(letter.headers() or [])
        places.add((headers["adstream.partition"], headers["adstream.offset"]))
    assert len(places) == fates["dead"]
    return fates


def _command(pipeline: Pipeline, point: str, batch: int, seconds: float) -> list[str]:
    faulty = [sys.executable, "-m", "tests.faults.driver", point, str(batch), str(seconds)]
    return [*faulty, *pipeline.stream_command, "--once"]


def _environment() -> dict[str, str]:
    here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    return os.environ | IN_SMALL_BATCHES | {"PYTHONPATH": here}


def run_faulty(pipeline: Pipeline, point: str, batch: int, seconds: float = 0) -> subprocess.CompletedProcess[str]:
    """Take all there is, in small batches, with the fault on the way."""
    return subprocess.run(
        _command(pipeline, point, batch, seconds),
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def started_faulty(pipeline: Pipeline, point: str, batch: int) -> Iterator[subprocess.Popen[str]]:
    """The same beside the test, and gone after it."""
    running = subprocess.Popen(
        _command(pipeline, point, batch, 0),
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()
