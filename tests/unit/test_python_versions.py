"""The Python versions that run adstream are the same in every place, and every other version is refused in one line."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from common.settings import Settings
from stack.checks import doctor

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FIRST, AFTER = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups())  # type: ignore[union-attr]
# A Python of any version: it answers `.ci/venv`, and has no module `venv`, so it makes nothing.
STAND_IN = """#!{python}
import sys
if sys.argv[1] == "--version":
    print("Python 3.{minor}.0")
else:
    sys.version_info = (3, {minor}, 0)
    sys.modules["venv"] = None
    exec(sys.argv[2])
"""


def chosen(folder: Path, name: str, text: str, *, named: bool) -> str:
    """Return the error of `.ci/venv` on a machine with this program as its only Python."""
    program = folder / name
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "venv", *([program] if named else [])],
        cwd=folder,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("minor", range(FIRST - 1, AFTER + 1))
@pytest.mark.parametrize("named", [True, False], ids=["named", "found"])
def test_setup_takes_the_versions_of_the_package_and_refuses_others_in_one_line(
    minor: int, named: bool, tmp_path: Path
) -> None:
    name = f"python3.{minor}" if FIRST <= minor < AFTER else "python3"
    line = chosen(tmp_path, name, STAND_IN.format(python=sys.executable, minor=minor), named=named)
    if FIRST <= minor < AFTER:
        assert "has no venv module" in line  # it is suitable, and the stand-in can do no more
    elif named:
        assert f"is Python 3.{minor}.0, and 3.{FIRST} to 3.{AFTER - 1} is needed" in line
    else:
        assert f"no Python from 3.{FIRST} to 3.{AFTER - 1} was found" in line


def test_setup_says_why_a_named_python_does_not_run(tmp_path: Path) -> None:
    line = chosen(tmp_path, "python3", "#!/bin/sh\necho 'no libpython' >&2\nexit 127\n", named=True)
    assert line.endswith(f"python3 does not run: no libpython; name a Python from 3.{FIRST} to 3.{AFTER - 1}")


@pytest.mark.parametrize("minor", range(FIRST - 1, AFTER + 1))
def test_doctor_takes_the_same_versions(minor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, minor, 0, "final", 0))
    [finding] = doctor.python(Settings())
    assert finding.verdict == ("OK" if FIRST <= minor < AFTER else "FAIL")
    assert finding.verdict == "OK" or f"3.{FIRST} to 3.{AFTER - 1} is needed" in finding.detail


def test_the_package_names_the_same_versions() -> None:
    named = re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))
    assert [int(minor) for minor in named] == list(range(FIRST, AFTER))
