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
from datetime import UTC, datetime
from pathlib import Path

import pytest

_RUN = pytest.StashKey["_Run"]()


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
        """The faults and the figures, null where there are none."""
        figures = asdict(self.figures) if self.figures else dict.fromkeys(Figures.__annotations__)
        return {"faults": [asdict(fault) for fault in self.faults], **figures}


def moment(when: datetime) -> str:
    """A moment in UTC, to the second."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class _Run:
    """One test of a kind of fault, with a seed.

    `outcome` is "passed", "skipped" or "failed: " and a line; empty while it goes on.
    """

    kind: str
    seed: int
    began: datetime
    account: Account = field(default_factory=Account)
    seconds: float = 0.0
    outcome: str = ""

    def document(self) -> dict[str, object]:
        """The line that --account writes."""
        return {
            "kind": self.kind,
            "seed": self.seed,
            "date": moment(self.began),
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            **self.account.document(),
        }


def kind_and_seed(test: str) -> tuple[str, int] | None:
    """The kind of a test and its seed: the kind is the test's id without folder and seed. None without a seed."""
    found = re.fullmatch(r"(?:.*/)?([^/]+::\w+)\[(.*)\]", test)
    cases = found[2].split("-") if found else []
    seed = next((case for case in cases if re.fullmatch(r"seed=\d+", case)), None)
    if found is None or seed is None:
        return None
    cases.remove(seed)
    return found[1] + (f"[{'-'.join(cases)}]" if cases else ""), int(seed.removeprefix("seed="))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seeds", type=int, default=1, help="how often each test with a seed runs, each time with another"
    )
    parser.addoption("--first-seed", type=int, default=1, help="the first of them")
    parser.addoption("--account", type=Path, help="file to which each test with a seed adds a line about its run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a seed and an account runs as often as `--seeds` says."""
    if {"seed", "account"} <= set(metafunc.fixturenames):
        first = metafunc.config.getoption("first_seed")
        seeds = range(first, first + metafunc.config.getoption("seeds"))
        metafunc.parametrize("seed", seeds, ids=[f"seed={seed}" for seed in seeds])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Notes when a test with a seed begins, and adds its line when it has ended."""
    if found := kind_and_seed(item.nodeid):
        item.stash[_RUN] = _Run(*found, datetime.now(UTC))
    done = yield
    run, file = item.stash.get(_RUN, None), item.config.getoption("account")
    if file and run and run.outcome != "skipped":
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(run.document()) + "\n")
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes the outcome of a test with a seed; says how to repeat a failed one.

    Raises KeyboardInterrupt if Ctrl-C ended the test and its cleanup raised an error of its own.
    """
    if call.excinfo and _interrupted(call.excinfo.value):
        raise KeyboardInterrupt
    report = yield
    run = item.stash.get(_RUN, None)
    if run is None:
        return report
    run.seconds += report.duration
    if report.failed:
        report.sections.append(("how to repeat this run", f".venv/bin/pytest '{item.nodeid}' --first-seed {run.seed}"))
        problem = call.excinfo.exconly() if call.excinfo else report.longreprtext
        if not run.outcome.startswith("failed"):
            run.outcome = f"failed: {problem.splitlines()[0]}"
    elif report.skipped or report.when == "call":
        run.outcome = report.outcome
    return report


def _interrupted(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, KeyboardInterrupt) or _interrupted(error.__context__))


@pytest.fixture
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """What the test tells about its run."""
    run = request.node.stash[_RUN]
    yield run.account
    if run.outcome == "passed" and (missing := run.account.missing()):
        pytest.fail(missing, pytrace=False)
