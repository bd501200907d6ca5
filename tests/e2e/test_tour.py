"""`adstream tour`, for a user who presses Enter at once."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from adstream.tour.steps import STEPS
from common.settings import Settings
from tests.e2e.commands import adstream, one_line


@pytest.mark.thorough
def test_the_tour_tells_its_story_and_ends_with_equal(stack: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adstream.cli", "tour", "--no-wait"],
        env={**os.environ, "ADSTREAM_SPARK_UI": "false", "COLUMNS": "160"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{STEPS}/{STEPS} " in done.stdout
    for said in (
        r"\$ adstream produce ads --count 1000",
        r"\$ adstream stream ad-metrics",
        r"000000  00 00 00 ",
        r"│ batch 0 · 1,\d{3} events",
        r"  25 events were late; a lateness of",
        r"error: tour-\w+-value: it cannot read what ",
        r"clicks_negative +\d+",
        r"  1 sent back, and marked",
        r"│ new schema version on tour-",
        r"\$ kill -9 \d+",
        r"  equal: [\d,]+ rows, [\d,]+ cells agree with the independent computation",
        r"  a click, and its row \d+ ms later",
    ):
        assert re.search(said, done.stdout), f"{said} in {done.stdout}"
    assert "Traceback" not in done.stdout + done.stderr


def test_without_anybody_to_press_enter_it_says_so_and_starts_nothing() -> None:
    assert one_line(adstream("tour")) == "error: nobody is there to press Enter; give --no-wait"


@contextmanager
def interrupted(*options: str, at: str) -> Iterator[tuple[int, str]]:
    """Press Ctrl-C after this line. Return the tour's output and exit code."""
    ours, theirs = pty.openpty()
    said = ""
    running = subprocess.Popen(
        [sys.executable, "-m", "adstream.cli", "tour", *options],
        env={**os.environ, "ADSTREAM_SPARK_UI": "false", "TERM": "dumb"},
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    alarm = threading.Timer(300, running.kill)
    alarm.start()
    try:
        sent = False
        assert running.stdout is not None
        while part := os.read(running.stdout.fileno(), 65_536).decode(errors="replace"):
            said += part
            if at in said and not sent:
                sent = True
                os.killpg(running.pid, signal.SIGINT)
        yield running.wait(60), said
    finally:
        alarm.cancel()
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()
        os.close(ours)
        os.close(theirs)


def test_ctrl_c_at_a_question_ends_it_at_once() -> None:
    with interrupted(at="Enter to go on") as (code, said):
        assert code == 130, said
        assert "Traceback" not in said


@pytest.mark.thorough
def test_ctrl_c_while_the_job_runs_leaves_no_job_behind(stack: Settings) -> None:
    with interrupted("--no-wait", at=" batch 0 ") as (code, said):
        assert code == 130, said
        assert "stopping the job" in said
        assert "Traceback" not in said
    [checkpoint] = set(re.findall(r"--checkpoint (\S+/tour-\w+) --window", said))
    left = [each.pid for each in psutil.process_iter(["cmdline"]) if checkpoint in (each.info["cmdline"] or [])]
    assert left == []
    assert stack.data_dir.is_dir()
