"""The catalogue of the mutation check fits the code, its record is of this catalogue, and the check is strict."""

import ast
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.system.file_lock import locked
from tests.mutants import record
from tests.mutants.catalogue import FAULTS
from tests.mutants.check import Check, CheckError, failure_of
from tests.mutants.fault import Fault, FaultError

# A project with a rule, a test of it, and a test of nothing.
RULE = "def larger(one, other):\n    return one if one > other else other\n"
TESTS = """
from shop.rule import larger

def test_larger():
    assert larger(1, 2) == larger(2, 1) == 2

def test_nothing():
    larger(1, 2)
"""
LARGER, NOTHING = "test_rule.py::test_larger", "test_rule.py::test_nothing"
WRONG = Fault("smaller", "The smaller one wins.", "shop/rule.py", "one > other", "one < other", LARGER)
UNSEEN = replace(WRONG, name="unseen", test=NOTHING)
NO_NAME = replace(WRONG, name="no name", replacement="one > another")
NO_CODE = replace(WRONG, name="no code", replacement="one >> > other")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout")
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    (root / "pytest.ini").write_text("[pytest]\naddopts = -rf\n")
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "rule.py").write_text(RULE)
    (root / "test_rule.py").write_text(TESTS)
    page = tmp_path / "page.md"
    page.write_text("<!-- mutants: begin -->\n<!-- mutants: end -->\n")
    return Check(root, (WRONG,), ("shop",), tmp_path / "mutants.json", page, tmp_path / "logs", nice=0)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_each_fault_fits_its_file_and_its_test_exists(fault: Fault) -> None:
    mutant = fault.applied(record.ROOT)
    assert mutant != (record.ROOT / fault.file).read_text(encoding="utf-8")
    if fault.file.endswith(".py"):
        ast.parse(mutant)
    file, _, test = re.sub(r"\[.*\]$", "", fault.test).partition("::")
    text = (record.ROOT / file).read_text(encoding="utf-8")
    assert f"def {test}(" in text
    assert fault.harm.endswith(".")


def test_each_fault_is_named_once_and_there_are_many() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 40


def test_the_record_is_of_this_catalogue_and_each_fault_was_caught() -> None:
    found = record.read(record.RESULTS)
    assert list(found) == [fault.name for fault in FAULTS]
    assert [fault.name for fault in FAULTS if not record.current(fault, found)] == []
    assert [name for name, result in found.items() if not result["caught"]] == []
    page = record.PAGE.read_text(encoding="utf-8")
    shown = page.partition("<!-- mutants: begin -->\n")[2].partition("\n<!-- mutants: end -->")[0]
    assert shown == "\n".join(record.part(list(found.values())))


def test_caught_is_only_what_its_own_test_refuses(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert replace(check, catalogue=(WRONG, UNSEEN, NO_NAME, NO_CODE)).run() == 3
    found = record.read(check.results)
    assert {name: result["caught"] for name, result in found.items()} == {
        "smaller": True, "unseen": False, "no name": False, "no code": False
    }  # fmt: skip
    assert found["smaller"]["failure"].startswith("assert 1 ==")
    assert found["unseen"]["failure"] == "its test passes"
    assert found["no name"]["failure"].startswith("NameError: name 'another' is not defined")
    assert re.match(r"pytest ended with [24]; see ", found["no code"]["failure"])
    assert (check.root / "shop" / "rule.py").read_text() == RULE
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"1/4 caught in \d+ s: smaller", said[2])
    assert re.fullmatch(r"2/4 NOT CAUGHT \(its test passes\) in \d+ s: unseen", said[3])
    assert "4 faults, 3 not caught." in check.page.read_text()
    assert f"| `shop/rule.py`: smaller | The smaller one wins. | `{LARGER}` |" in check.page.read_text()
    assert "| `shop/rule.py`: unseen | The smaller one wins. | **nothing** |" in check.page.read_text()


def test_a_part_of_the_faults_is_chosen_and_the_others_keep_their_last_run(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    both = replace(check, catalogue=(WRONG, UNSEEN))
    assert both.run("unseen") == 1
    assert both.run("smaller") == 0
    assert list(record.read(check.results)) == ["smaller", "unseen"]
    capsys.readouterr()
    assert both.run(new=True) == 1
    assert "1/1 NOT CAUGHT" in capsys.readouterr().out
    assert check.run(new=True) == 0
    assert capsys.readouterr().out == "each of these faults was caught\n"
    changed = replace(check, catalogue=(WRONG, replace(UNSEEN, replacement="other > one")))
    assert changed.run("smaller") == 0
    assert list(record.read(check.results)) == ["smaller"]
    with pytest.raises(CheckError, match="no fault has 'larger than all' in its name, file or test"):
        check.run("larger than all")


def test_tests_that_fail_anyway_prove_nothing(check: Check) -> None:
    (check.root / "test_rule.py").write_text(TESTS.replace("== 2", "== 3"))
    with pytest.raises(CheckError, match="without a fault pytest ends with 1"):
        check.run()
    assert not check.results.exists()


def test_a_package_that_is_not_the_copys_stops_it(check: Check) -> None:
    with pytest.raises(CheckError, match=r"Python does not import the copy: .*json"):
        replace(check, packages=("shop", "json")).run()


def test_a_fault_that_no_longer_fits_is_one_line(check: Check) -> None:
    (check.root / "shop" / "rule.py").write_text(RULE + RULE)
    with pytest.raises(FaultError, match=r"smaller: shop/rule\.py has its text 2 times, not once"):
        check.run()


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ("FAILED a.py::test_b - assert 1 == 2", "assert 1 == 2"),
        ("FAILED a.py::test_b[x - y] - assert [1] == []", "assert [1] == []"),
        ("FAILED a.py::test_b", "a.py::test_b"),
        ("FAILED a.py::test_bc - assert 1", ""),
        ("ERROR a.py::test_b - no such fixture", ""),
    ],
)
def test_a_failure_is_that_of_the_named_test(line: str, failure: str) -> None:
    assert failure_of(f"=== summary ===\n{line}\n1 failed\n", "a.py::test_b") == failure


SLOW = """
import pathlib, time

def test_larger():
    pathlib.Path(%r).write_text(str(__import__("os").getpid()))
    time.sleep(600)
"""
MAIN = """
import sys
from pathlib import Path
from tests.mutants.check import Check, main
from tests.unit.test_mutants import WRONG
here = Path(sys.argv.pop())
sys.exit(main(Check(here / "project", (WRONG,), ("shop",), here / "m.json", here / "page.md", here / "logs", nice=0)))
"""


def test_ctrl_c_leaves_nothing_running_and_nothing_behind(check: Check, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (check.root / "test_rule.py").write_text(SLOW % str(begun))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ["env", f"TMPDIR={scratch}", f"PYTHONPATH={record.ROOT}", sys.executable, "-c", MAIN, str(tmp_path)]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    with running:
        deadline = time.monotonic() + 60
        while not (begun.exists() and begun.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, "stopped; the fault in progress is not recorded\n")
    assert not psutil.pid_exists(int(begun.read_text()))
    assert list(scratch.iterdir()) == []
    with locked(check.logs / "lock"):
        pass  # the next check may begin
