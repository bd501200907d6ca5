"""The progress display of a working command: it appears on a terminal's standard error, and nowhere else."""

import ast
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
from rich.console import Console
from common.text.progress_line import Working
with Working("reading") as working:
    print("printed")
    Console().print("printed by rich")
    working("comparing", 3, 4)
    working._line.refresh()
print("the end")
"""
PRINTED = "printed\nprinted by rich\nthe end\n"
# Commands that work for more than a few seconds.
LONG = (
    "commands/backfill.py", "commands/batch.py", "commands/dead_letters.py", "commands/migrate.py",
    "commands/raw_sales.py", "commands/show.py", "commands/stack.py", "commands/validate.py", "verify/report.py",
)  # fmt: skip


def run(stderr: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, check=True,
    )  # fmt: skip


def test_in_a_pipe_there_is_nothing_of_it() -> None:
    done = run(subprocess.PIPE)
    assert (done.stdout, done.stderr) == (PRINTED, "")


def test_a_terminal_sees_it_and_standard_output_keeps_what_is_its_own() -> None:
    ours, theirs = pty.openpty()
    try:
        done = run(theirs)
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.stdout == PRINTED
    assert "comparing" in shown
    assert "75%" in shown
    assert "printed" not in shown


@pytest.mark.parametrize("name", LONG)
def test_a_command_that_takes_long_shows_it(name: str) -> None:
    called = {
        node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for node in ast.walk(ast.parse((ROOT / "adstream" / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert "Working" in called
    assert not called & {"Progress", "status"} - ({"status"} if name == "commands/stack.py" else set())
