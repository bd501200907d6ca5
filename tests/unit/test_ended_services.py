"""Services that end while `status` or `up` looks at them, and before. A small program stands in for each service."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.settings import Settings
from stack import local, state
from stack.host import processes
from stack.host.processes import Running
from stack.kafka import KAFKA
from stack.security.secured import Secured
from stack.state import Entry, State

Ask = Callable[[int, Secured | None], str | None]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a data folder of the test's own. At its end nothing of that folder may run."""
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    yield Settings()
    left = [entry.running for entry in state.read(tmp_path).services.values() if entry.pid != os.getpid()]
    processes.stop(left)


def waiting(folder: Path) -> Running:
    """Start a process that waits for ever."""
    waits = [sys.executable, "-c", "import signal; signal.pause()"]
    return processes.start(waits, log=folder / "log", folder=folder)


def ending(running: Running) -> Ask:
    """Return a question that is answered well, and ends the process meanwhile."""

    def ask(_port: int, _keys: Secured | None) -> None:
        processes.stop([running])

    return ask


def test_a_service_that_ends_while_it_is_asked_is_no_traceback(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = waiting(tmp_path)
    entry = Entry(running.pid, running.create_time, {"kafka": 9092}, "log")
    state.write(tmp_path, State(services={"kafka": entry}))
    monkeypatch.setattr(local, "SERVICES", (replace(KAFKA, ask=ending(running)),))
    [asked] = local.status(settings)
    assert asked.memory
    [after] = local.status(settings)
    assert (after.problem, after.memory) == ("it has ended", None)


def test_a_process_that_ends_before_its_memory_is_read_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = waiting(tmp_path)
    assert running.memory()
    found = psutil.Process(running.pid)
    processes.stop([running])
    assert running.memory() is None
    monkeypatch.setattr(Running, "process", lambda _self: found)  # found in the moment before
    assert running.memory() is None
