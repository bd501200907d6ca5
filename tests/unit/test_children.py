"""The program's children import this program, also in a folder with packages of the same names."""

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adstream.tour.processes import run_command
from common import project
from common.own_stack import STACK_FILE
from common.system.children import python_module
from streaming.real_time.applying_process import ApplyingProcess
from tests.installed import PACKAGES, ROOT

SECONDS = 60
PROJECT = """
from producer.source import Source
from streaming.job import Job
JOBS = [Job("mine", "of my own", "own_notes", lambda events: events)]
"""


def package(folder: Path, code: str = "raise SystemExit('another package')\n") -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text(code, encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder. It has packages with the names of ours, and the package of a project."""
    for name in PACKAGES:
        package(tmp_path / name)
    package(tmp_path / "own_project", PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def test_a_command_of_the_tour_is_this_program() -> None:
    done = run_command(["--version"], print, at_once=True)
    assert (done.code, done.output.startswith("adstream ")) == (0, True), done.output


def test_the_applying_process_is_this_program(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / STACK_FILE).write_text("{}", encoding="utf-8")  # so it uses no service, and says so
    said: list[str] = []
    clock = 0.0  # stands still, so the process is not started again
    process = ApplyingProcess("ad-metrics", member="one", told=print, notice=said.append, clock=lambda: clock)
    process.start()
    deadline = time.monotonic() + SECONDS
    while not said:
        assert time.monotonic() < deadline
        process.watch()
        time.sleep(0.01)
    assert "that of the stack in " in said[0]


@pytest.mark.parametrize("module", ["cqlshlib", "pip"])
def test_a_librarys_program_is_the_librarys(module: str, folder: Path) -> None:
    for name in (module, "cassandra"):
        package(folder / name)
    done = subprocess.run(
        python_module(module, "--version"), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "another" not in done.stdout + done.stderr


def test_a_project_is_found_by_the_children_and_hides_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_project", raising=False)
    assert project.python_path() == ""
    monkeypatch.setenv("ADSTREAM_PROJECT", "own_project")
    assert project.root() == folder / "own_project"
    done = run_command(["jobs"], print, at_once=True)
    assert (done.code, "\nmine " in done.output) == (0, True), done.output
    # As Spark's workers on this machine do.
    command = [sys.executable, "-P", "-c", "import own_project, producer; print(own_project.JOBS[0].name, producer)"]
    environment = os.environ | {"PYTHONPATH": project.python_path()}
    worker = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert worker.stdout == f"mine <module 'producer' from '{ROOT / 'producer' / '__init__.py'}'>\n", worker.stderr


def command_lines() -> Iterator[tuple[str, list[object]]]:
    """Yield the place and the parts of each list or tuple in the code with an argument `-m`."""
    for file in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple):
                parts = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
                if "-m" in parts:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", parts


def test_no_command_line_searches_the_working_folder_first() -> None:
    found = dict(command_lines())
    assert len(found) > 1
    assert [place for place, parts in found.items() if parts[parts.index("-m") - 1] != "-P"] == []
