"""Lets several runs of pytest share their test files: each takes the next file that is free.

    pytest tests/e2e tests/faults --shared build/tests/taken

A test on services waits for much of its time, so several runs use a machine better than one. A run takes a file
whenever it is idle, so all runs end together. pytest-xdist shares files, too, but gives its processes only ten seconds
to end. Stopping services takes longer.
"""

import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

LONG = 10.0  # in seconds; a longer test gets a line of its own
# The longest files, longest first. A long file that begins last would run alone at the end.
LONGEST = (
    "tests/compose/test_compose.py",
    "tests/faults/test_real_time_services.py",
    "tests/faults/test_real_time.py",
    "tests/faults/test_cassandra_nodes.py",
    "tests/e2e/test_environment.py",
    "tests/e2e/test_ad_metrics_flow.py",
    "tests/e2e/test_patterns_live.py",
    "tests/e2e/test_apply.py",
    "tests/e2e/test_real_time.py",
    "tests/e2e/test_transactions.py",
    "tests/e2e/test_dead_letters.py",
    "tests/e2e/test_stack.py",
    "tests/browser/test_dashboard.py",
    "tests/e2e/test_verify.py",
    "tests/e2e/test_secured.py",
    "tests/faults/test_driver.py",
    "tests/faults/test_two_at_once.py",
    "tests/faults/test_power_cut.py",
    "tests/faults/test_clock.py",
    "tests/faults/test_services.py",
    "tests/faults/test_damaged_checkpoint.py",
    "tests/e2e/test_benchmarks.py",
    "tests/e2e/test_bad_input.py",
    "tests/e2e/test_late_events.py",
    "tests/e2e/test_demo.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shared", type=Path, help="folder where runs side by side mark the files that they have taken")


def pytest_configure(config: pytest.Config) -> None:
    if taken := config.getoption("shared"):
        config.pluginmanager.register(SharedFiles(taken.absolute()))


class SharedFiles:
    """Takes a file by creating its mark in the folder `taken`. All runs share this folder, which is empty at first."""

    def __init__(self, taken: Path) -> None:
        self._taken = taken
        taken.mkdir(parents=True, exist_ok=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop reports collection errors
        files = defaultdict(list)
        for test in session.items:
            files[test.path.relative_to(session.config.rootpath).as_posix()].append(test)
        self._terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        self._terminal.showfspath = False
        for number, file in enumerate(sorted(files, key=_turn), start=1):
            if self._take(file):
                began, failed = time.monotonic(), session.testsfailed
                self._run(session, files[file])
                wrong = f"{session.testsfailed - failed} FAILED of " if session.testsfailed > failed else ""
                self._say(f"{number}/{len(files)} {file}: {wrong}{len(files[file])} tests in {_since(began)}")
        return True

    def _say(self, line: str) -> None:
        """Write the line at once, so that lines of several runs do not mix in one terminal."""
        self._terminal.write(f"{line}\n", flush=True)

    def _take(self, file: str) -> bool:
        try:
            (self._taken / file.replace("/", ".")).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _run(self, session: pytest.Session, tests: list[pytest.Item]) -> None:
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            began, failed = time.monotonic(), session.testsfailed
            # The next file is not known yet. `session` as the next item keeps the session's fixtures and no others.
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=following or session)
            if session.testsfailed > failed:
                self._say(f"FAILED {test.nodeid} in {_since(began)}")
            elif time.monotonic() - began > LONG:
                self._say(f"passed {test.nodeid} in {_since(began)}")
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, object, object], tuple[str, object, object]]:
        """Print no dots: several runs would mix them in one terminal. Files and long tests have a line each."""
        category, *_ = yield
        return category, "", ""


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


def _turn(file: str) -> int:
    """Return the file's place in the order. All others follow, in their own order."""
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)
