"""The report at the end of `make test`."""

import subprocess
import sys
from pathlib import Path

FAILS = r"""
import pytest

def test_fails():
    said = [f"line {number} of the job" for number in range(200)]
    assert 1 == 2, "\n".join(said)

@pytest.fixture
def broken():
    raise OSError("no such service")

def test_never_begins(broken):
    pass

def test_passes():
    pass
"""


def test_the_reason_of_each_failure_is_printed_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(FAILS, encoding="utf-8")
    alone = ["-p", "tests.longest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    root = Path(__file__).parents[2]
    ran = [sys.executable, "-m", "pytest", *alone, str(tmp_path), "--times", str(tmp_path / "times" / "quick.json")]
    subprocess.run(ran, check=False, cwd=root, capture_output=True, timeout=60)
    report = [sys.executable, "-m", "tests.longest", str(tmp_path / "times")]
    done = subprocess.run(report, check=False, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "The longest of 3 tests:" in done.stdout
    failures = done.stdout.split("FAILED ")[1:]
    assert [each.split("\n")[0].rpartition("::")[2] for each in failures] == ["test_fails", "test_never_begins"]
    assert "test_some.py:6: AssertionError: line 0 of the job" in failures[0]
    assert "[...]" in failures[0]
    assert "line 199 of the job" in failures[0]
    assert "OSError: no such service" in failures[1]
    assert done.stderr == "error: not all passed; look above for what failed\n"
