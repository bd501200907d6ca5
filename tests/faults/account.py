"""What a test with a seed tells about its run: its faults, how soon the job recovered, and what was compared.

A pytest plugin: the options `--seeds`, `--first-seed` and `--account`, and the fixture `account`. A test that tells no
fault, or compares nothing after its last fault, fails.
"""

import json
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

_OUTCOME = pytest.StashKey[str]()


@dataclass
class Fault:
    """What failed and when in the life of the job.

    `recovered` counts seconds from the end of the fault to the next committed batch or new row. A fault ends when the
    process is dead, when its start begins, or when it goes on. None where the job has not recovered; `refused` if the
    job must not go on.
    """

    what: str
    when: str
    recovered: float | None = None
    refused: bool = False


@dataclass
class Figures:
    """The ledger, and the comparison cell by cell. A row differs when one of its cells does, or when it is missing."""

    offsets: int
    unexplained: int
    cells: int
    rows_different: int


@dataclass
class Account:
    """A fault begins and ends, the job recovers, and at the end the figures are settled."""

    faults: list[Fault] = field(default_factory=list)
    figures: Figures | None = None
    _waiting: list[tuple[Fault, float]] = field(default_factory=list)

    @contextmanager
    def fault(self, what: str, when: str) -> Iterator[Fault]:
        """The fault lasts for the block. Earlier figures say nothing any more."""
        fault = Fault(what, when)
        self.faults.append(fault)
        self.figures = None
        try:
            yield fault
        finally:
            self._waiting.append((fault, time.time()))

    def recovered(self) -> None:
        """The job has written a new row just now."""
        self._recover([time.time()])

    def recovered_in(self, checkpoint: Path) -> None:
        """The job has recovered from each fault with the first batch that it committed afterwards."""
        committed = [file for file in (checkpoint / "commits").glob("*") if file.name.isdigit()]
        self._recover([file.stat().st_mtime for file in committed])

    def _recover(self, times: list[float]) -> None:
        still = []
        for fault, over in self._waiting:
            if fault.refused:
                continue
            if later := [each for each in times if each >= over]:
                fault.recovered = round(min(later) - over, 1)
            else:
                still.append((fault, over))
        self._waiting = still

    def missing(self) -> str | None:
        """What a test that passes must tell and has not told."""
        if not self.faults:
            return "the test has told no fault"
        if self.figures is None:
            return "the test ends without a ledger and a comparison after its last fault"
        if not self.figures.offsets or not self.figures.cells:
            return "the test has compared nothing"
        if self.figures.unexplained or self.figures.rows_different:
            return f"the test passes in spite of {self.figures}"
        if waiting := [fault.what for fault in self.faults if fault.recovered is None and not fault.refused]:
            return f"the job has not recovered: {', '.join(waiting)}"
        return None

    def document(self) -> dict[str, object]:
        """As --account writes it."""
        figures = asdict(self.figures) if self.figures else dict.fromkeys(Figures.__annotations__)
        return {"faults": [asdict(fault) for fault in self.faults], **figures}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seeds", type=int, default=1, help="how often each test with a seed runs, each time with another"
    )
    parser.addoption("--first-seed", type=int, default=1, help="the first of them")
    parser.addoption("--account", type=Path, help="file to write what the test with a seed tells about its run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a seed and an account runs as often as `--seeds` says."""
    if {"seed", "account"} <= set(metafunc.fixturenames):
        first = metafunc.config.getoption("first_seed")
        seeds = range(first, first + metafunc.config.getoption("seeds"))
        metafunc.parametrize("seed", seeds, ids=[f"seed={seed}" for seed in seeds])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes whether the test passed; says how to repeat a failed one."""
    report = yield
    if report.when == "call" or not report.passed:
        item.stash[_OUTCOME] = report.outcome
    if report.failed and (found := re.search(r"seed=(\d+)", item.nodeid)):
        how = f".venv/bin/pytest '{item.nodeid}' --first-seed {found[1]}"
        report.sections.append(("how to repeat this run", how))
    return report


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """What the test tells about its run; `--account` keeps it, unless the test is skipped."""
    told = Account()
    yield told
    outcome = request.node.stash.get(_OUTCOME, "stopped")
    if outcome != "skipped" and (file := request.config.getoption("account")):
        file.write_text(json.dumps(told.document()), encoding="utf-8")
    if outcome == "passed" and (missing := told.missing()):
        pytest.fail(missing, pytrace=False)
