"""The stack starts and stops its own processes, and never another program's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stack.host import processes
from stack.host.processes import Running
from stack.host.signals import ending_deferred, ending_raises


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Running]]:
    running: list[Running] = []
    yield running
    assert not [one for one in running if one.process()], "a test left a process behind"


def start(tmp_path: Path, program: str, said: str) -> Running:
    log = tmp_path / "logs" / "one.log"
    running = processes.start([sys.executable, "-uc", program], log=log, folder=tmp_path)
    deadline = time.monotonic() + 60
    while said not in log.read_text():
        assert time.monotonic() < deadline, f"the program never said {said}"
        time.sleep(0.01)
    return running


def test_it_is_stopped_by_sigterm_and_its_log_kept(tmp_path: Path, started: list[Running]) -> None:
    running = start(tmp_path, "import time; print('up'); time.sleep(60)", "up")
    started.append(running)
    process = running.process()
    assert process is not None
    assert processes.stop([running]) == []
    assert running.process() is None
    assert not psutil.pid_exists(running.pid), "not reaped"
    started.append(start(tmp_path, "print('again')", "again"))
    processes.stop(started)
    assert (tmp_path / "logs" / "one.log.1").read_text() == "up\n"


def test_it_is_killed_when_it_does_not_listen(tmp_path: Path, started: list[Running]) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    started.append(start(tmp_path, deaf, "up"))
    assert processes.stop(started, grace_seconds=0.3) == started


REAPED = """
import pathlib, psutil, sys
from stack.host import processes
running = processes.start([sys.executable, "-c", "input()"], log=pathlib.Path("log"), folder=pathlib.Path())
child = psutil.Process(running.pid)
child.kill()
child.wait(30)  # psutil reaps it
assert running.process() is None
"""


def test_a_child_that_somebody_else_reaped_is_no_warning_at_the_end(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(processes.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-Wd", "-c", REAPED], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_id_that_was_used_again_is_left_alone(tmp_path: Path, started: list[Running]) -> None:
    running = start(tmp_path, "import time; print('up'); time.sleep(60)", "up")
    started.append(running)
    remembered = replace(running, create_time=running.create_time - 100)
    assert remembered.process() is None
    processes.stop([remembered], grace_seconds=0.1)
    assert running.process() is not None
    processes.stop([running])


def test_the_ctrl_c_of_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    running = start(tmp_path, "import os; print(os.getsid(0) == os.getpid())", "True")
    processes.stop([running])
    assert (tmp_path / "logs" / "one.log").read_text() == "True\n"


def test_a_signal_is_deferred_until_it_is_asked_for() -> None:
    with ending_deferred() as raise_if_ended:
        raise_if_ended()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            raise_if_ended()


def test_sigterm_interrupts_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ending_raises():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
