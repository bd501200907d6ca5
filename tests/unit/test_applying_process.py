"""A job's applying process ends and is started again. The job gives up after too many ends in a row, and says where the
rows are.

The process is a program that prints what `adstream apply` prints.
"""

import io
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from common.errors import AdstreamError, BadInput, JobFailed, ServiceUnavailable, TopicNotFound, Unproved
from streaming.apply.applier import Applier
from streaming.apply.report import ApplyMonitor, Report
from streaming.real_time.applying_process import ATTEMPTS, LONG_SECONDS, ApplyingProcess

PYTHON = sys.executable
SECONDS = 30
# Longer than any pause before the next start.
PAUSE = 60.0


class Topic:
    """Has been read up to an offset."""

    away = ""
    topic = "rows"

    def positions(self) -> dict[int, int]:
        return {0: 7}

    def lag(self) -> dict[int, int]:
        return {0: 0}


def printed(error: AdstreamError | None, *, written: int = 0) -> str:
    """Return what a process prints that has written so many rows, and ends with this error or is killed."""
    out = io.StringIO()
    topic: Any = Topic()
    tables: Any = None
    applier = Applier(topic, tables, notice=lambda _line: None)
    applier.figures.written = written
    report = Report(ApplyMonitor("ad-metrics", applier), applier, lambda _line: None, out)
    report.event("applying rows to ad_metrics")
    if error is None:
        return out.getvalue()
    report.failed(error)
    return f"{out.getvalue()}error: {error}\n"


class Started:
    """An applying process of a job, and what the job hears of it. Its clock stands still unless a test moves it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, end: str = "sys.exit(1)") -> None:
        program = folder / "program"
        body = f"import os, sys\nsys.stdout.write({text!r})\nsys.stdout.flush()\n{end}\n"
        program.write_text(f"#!{PYTHON} -IS\n{body}", encoding="utf-8")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        self.now = 0.0
        self.told: list[Mapping[str, Any]] = []
        self.notices: list[str] = []
        self.process = ApplyingProcess(
            "ad-metrics", member="one", told=self.told.append, notice=self.notices.append, clock=lambda: self.now
        )
        self.process.start()

    def ends(self, *, after: float = 0.0) -> None:
        """Wait for the end of the process, which has lived for so many seconds, and start the next one."""
        self.now += after
        said, deadline = len(self.notices), time.monotonic() + SECONDS
        while len(self.notices) == said:
            self.process.watch()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        self.now += PAUSE
        self.process.watch()

    def ends_again_and_again(self, times: int, *, after: float = 0.0) -> None:
        for _ in range(times):
            self.ends(after=after)

    def ends_for_good(self) -> str:
        """Let it end again and again. Return the line with which the job gives up."""
        with pytest.raises(JobFailed) as failed:
            self.ends_again_and_again(ATTEMPTS)
        assert len(self.notices) == ATTEMPTS - 1
        return str(failed.value)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Started]:
    return lambda text, end="sys.exit(1)": Started(tmp_path, monkeypatch, text, end)


WAIT = "rows wait in the updates topic as long as it keeps them, and the job makes them again if it was deleted"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ServiceUnavailable("no node answers", "start one"), f"repair that, and start the job again: {WAIT}"),
        (TopicNotFound("rows was deleted", "start this again"), f"repair that, and start the job again: {WAIT}"),
        (
            BadInput("rows/0/7 is no row", "leave it out with --skip rows/0/7"),
            f"`adstream apply ad-metrics --once` takes --skip; then start the job again: {WAIT}",
        ),
        (
            Unproved("rows/0 no longer has the rows that come next", "apply what there is with --from earliest"),
            "do that before you start the job again: the rows that are gone may be missing in the tables",
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_job_that_gives_up_says_why_what_to_do_and_where_the_rows_are(
    started: Callable[..., Started], error: AdstreamError, remedy: str
) -> None:
    job = started(printed(error))
    said = job.ends_for_good()
    assert said == f"the applying process of ad-metrics ended {ATTEMPTS} times in a row: {error}; {remedy}"
    assert job.notices[0] == f"the applying process ended with code 1 ({error}); starting it again in 1 s"
    assert [each["message"] for each in job.told[:2]] == ["applying rows to ad_metrics", str(error)]


def test_a_process_that_is_killed_has_said_nothing_about_its_end(started: Callable[..., Started]) -> None:
    said = started(printed(None), "os.kill(os.getpid(), 9)").ends_for_good()
    assert f"ended {ATTEMPTS} times in a row: it said nothing, and its exit code is -9; repair that" in said


def test_what_is_no_report_is_a_reason(started: Callable[..., Started]) -> None:
    said = started("Traceback:\n\nMemoryError\n\n").ends_for_good()
    assert f"ended {ATTEMPTS} times in a row: MemoryError; repair that" in said


@pytest.mark.parametrize(
    ("written", "lived"), [(1, 0.0), (0, LONG_SECONDS)], ids=["a row was written", "it lived for long without rows"]
)
def test_ends_of_processes_that_worked_never_add_up(
    started: Callable[..., Started], written: int, lived: float
) -> None:
    job = started(printed(ServiceUnavailable("no node answers", "start one"), written=written))
    job.ends_again_and_again(2 * ATTEMPTS, after=lived)
    assert all(each.endswith("starting it again in 1 s") for each in job.notices)
    job.process.stop()


def test_it_ends_when_its_input_ends_and_can_be_killed_before(started: Callable[..., Started]) -> None:
    job = started(printed(None), "sys.stdin.read()\nprint('the last words')\n")
    assert job.process.pid is not None
    job.process.stop()
    assert job.process.pid is None
    deaf = started(printed(None), "import time\ntime.sleep(600)\n")
    began = time.monotonic()
    deaf.process.kill()
    deaf.process.stop()
    assert time.monotonic() - began < SECONDS
    assert deaf.process.pid is None


def test_pauses_grow_while_nothing_is_written(started: Callable[..., Started]) -> None:
    job = started(printed(ServiceUnavailable("no node answers", "start one")))
    job.ends_for_good()
    assert [each.rsplit(" in ", 1)[1] for each in job.notices] == ["1 s", "2 s", "4 s", "8 s"]
