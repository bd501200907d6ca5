"""Runs of pytest side by side: exactly one of them runs each file, and the report covers the tests of all runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.longest import main
from tests.shared_files import LONGEST

ROOT = Path(__file__).parents[2]
PLUGINS = ("-p", "tests.shared_files", "-p", "tests.longest")
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def of_the_session():
    yield print("made for the session") or "kept"
    print("ended with the session")

@pytest.fixture(scope="module")
def of_the_file():
    yield "ended with the file"
"""
TEST = """
import time

def test_one(of_the_session, of_the_file):
    time.sleep(0.05)

def test_two(of_the_session, of_the_file):
    assert {right}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number in range(6):
        (tmp_path / f"test_{number}.py").write_text(TEST.format(right=number != 4))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(folder: Path, name: str) -> subprocess.Popen[str]:
    options = ("-s", "--shared", "build/taken", "--times", f"build/{name}.json")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *PLUGINS, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_each_file_is_run_by_one_and_the_sessions_fixtures_last(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = [run(folder, name) for name in ("first", "second")]
    said = [each.communicate(timeout=60)[0] for each in running]
    lines = [line for text in said for line in text.splitlines() if " tests in " in line]
    assert sorted(line.partition(" ")[2].partition(":")[0] for line in lines) == [f"test_{n}.py" for n in range(6)]
    assert [line for line in lines if "1 FAILED of 2 tests" in line] == [line for line in lines if "test_4.py" in line]
    assert [line.split(" in ")[0] for text in said for line in text.splitlines() if line.startswith("FAILED test")] == [
        "FAILED test_4.py::test_two"
    ]
    assert sorted(each.returncode for each in running) == [0, 1]
    for text in said:
        made = text.count("made for the session")
        assert made == text.count("ended with the session") == (" tests in " in text)

    assert main(folder / "build") == 1, "make has not said that all passed"
    told = capsys.readouterr().out
    assert "The longest of 12 tests:" in told
    assert told.count(" s  test_") == 10
    assert told.splitlines()[2].endswith("::test_one")
    assert "first " in told
    assert "second " in told
    (folder / "build" / "passed").touch()
    assert main(folder / "build") == 0


def test_the_longest_files_are_there() -> None:
    assert [name for name in LONGEST if not (ROOT / name).is_file()] == []
