"""Kills and freezes Kafka, the registry and Cassandra of the session's stack."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from common.settings import Settings
from stack import local, state


def process(settings: Settings, service: str) -> psutil.Process:
    found = state.read(settings.data_dir.absolute()).services[service].running.process()
    assert found is not None, f"{service} does not run"
    return found


@contextmanager
def killed(settings: Settings, service: str) -> Iterator[None]:
    """Kill the service with SIGKILL. At the end, start it again on the same data and port."""
    victim = process(settings, service)
    victim.kill()
    victim.wait(30)
    try:
        yield
    finally:
        local.up(settings)


@contextmanager
def frozen(settings: Settings, service: str) -> Iterator[None]:
    """Stop the service with SIGSTOP. It keeps its connections and accepts new ones, but answers nothing."""
    victim = process(settings, service)
    victim.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        victim.send_signal(signal.SIGCONT)
        _await_answers(settings)


def _await_answers(settings: Settings) -> None:
    deadline = time.monotonic() + 120
    while any(one.problem for one in local.status(settings)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
