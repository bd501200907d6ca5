"""The fault campaign chooses, records, goes on and stops as its page says; no run of it is silent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from common.system.file_lock import Held, locked
from tests.faults import record
from tests.faults.account import Account, Figures, kind_and_seed
from tests.faults.campaign import Campaign, CampaignError

RUN = {"seed": 1, "outcome": "passed", "seconds_to_recover": 2.5}
GOOD = Figures(offsets=10, unexplained=0, cells=8, rows_different=0)
# A project with a fault that passes, one that fails, one that tells nothing, one that is skipped, and no fault at all.
TESTS = """
import pytest
from tests.faults.account import Figures

@pytest.mark.parametrize("missing", [0, 3])
def test_fault(account, seed, missing):
    with account.fault("it broke", "at once"):
        pass
    account.recovered()
    account.figures = Figures(10, missing, 8, 0)
    assert missing < seed, f"seed {seed} is too small"

def test_silent(account, seed):
    pass

def test_elsewhere(account, seed):
    pytest.skip("not on this machine")

def test_no_fault():
    pass
"""


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    monkeypatch.setenv("PYTHONPATH", str(record.ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ("tests.faults.account",)\n')
    folder = tmp_path / "breaks"
    folder.mkdir()
    (folder / "test_it.py").write_text(TESTS)
    page = tmp_path / "page.md"
    page.write_text("<!-- faults: begin -->\n<!-- faults: end -->\n")
    return Campaign(tmp_path, "breaks", tmp_path / "faults.json", page, tmp_path / "logs", nice=0)


def test_the_page_and_the_results_agree() -> None:
    runs = record.read(record.RESULTS)
    page = record.PAGE.read_text(encoding="utf-8")
    shown = page.partition("<!-- faults: begin -->\n")[2].partition("\n<!-- faults: end -->")[0]
    assert shown == "\n".join(record.part(runs))
    places = [(run["kind"], run["seed"]) for run in runs]
    assert len(set(places)) == len(places)
    for run in runs:
        told = {name: run[name] for name in Figures.__annotations__}
        assert run["outcome"].startswith("failed: ") or (run["faults"] and told["offsets"] > 0 and told["cells"] > 0)
        assert run["outcome"].startswith("failed: ") or told["unexplained"] == told["rows_different"] == 0


def test_the_kind_with_the_fewest_runs_comes_next_and_no_seed_comes_twice() -> None:
    runs: list[record.Run] = [{**RUN, "kind": "gone"}]
    chosen = []
    for _ in range(7):
        kind, seed = record.next_run(["a", "b", "c"], runs)
        chosen.append((kind, seed))
        runs.append({**RUN, "kind": kind, "seed": seed})
    assert chosen == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("c", 2), ("a", 3)]
    runs.append({**RUN, "kind": "d", "seed": 40})
    assert record.next_run(["d"], runs) == ("d", 41)


def test_each_run_is_a_line_and_a_crash_while_writing_loses_none(tmp_path: Path) -> None:
    results = tmp_path / "faults.json"
    assert record.read(results) == []
    assert len(record.append(results, {**RUN, "kind": "a"})) == 1
    (tmp_path / ".faults.json.new").write_text('{"runs": [')  # what a crash has left
    record.append(results, {**RUN, "kind": "b", "outcome": "failed: no"})
    assert [run["kind"] for run in record.read(results)] == ["a", "b"]
    assert len(results.read_text(encoding="utf-8").splitlines()) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["faults.json"]


def test_the_table_counts_failed_runs_and_takes_the_slowest_recovery() -> None:
    runs = [
        {**RUN, "kind": "b"},
        {**RUN, "kind": "b", "outcome": "failed: no", "seconds_to_recover": 71.25},
        {**RUN, "kind": "a", "outcome": "failed: no", "seconds_to_recover": None},
    ]
    assert record.part(runs) == [
        "3 runs, 2 failed.",
        "",
        "| kind | runs | failed | slowest recovery |",
        "|---|---:|---:|---:|",
        "| `a` | 1 | 1 | none |",
        "| `b` | 2 | 1 | 71.2 s |",
    ]


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("tests/faults/test_a.py::test_b[seed=1]", ("test_a.py::test_b", 1)),
        ("tests/faults/test_a.py::test_b[seed=1-killed]", ("test_a.py::test_b[killed]", 1)),
        ("test_a.py::test_b[x-seed=12-y]", ("test_a.py::test_b[x-y]", 12)),
        ("tests/faults/test_a.py::test_b[seed=x]", None),
        ("tests/faults/test_a.py::test_b", None),
    ],
)
def test_a_kind_is_a_test_without_its_seed(test: str, found: tuple[str, int] | None) -> None:
    assert kind_and_seed(test) == found


def test_it_runs_every_kind_records_failures_and_goes_on_where_it_stopped(
    campaign: Campaign, capfd: pytest.CaptureFixture[str]
) -> None:
    assert campaign.run(minutes=5, most=2) == 1
    assert campaign.run(minutes=5, most=2) == 1
    runs = {(run["kind"], run["seed"]): run for run in record.read(campaign.results)}
    good, bad, silent = "test_it.py::test_fault[0]", "test_it.py::test_fault[3]", "test_it.py::test_silent"
    assert list(runs) == [(good, 1), (bad, 1), (silent, 1), (good, 2)]
    assert runs[good, 1]["outcome"] == runs[good, 2]["outcome"] == "passed"
    assert (runs[good, 1]["offsets"], runs[good, 1]["cells"], runs[good, 1]["seconds_to_recover"]) == (10, 8, 0.0)
    assert runs[good, 1]["faults"] == [{"what": "it broke", "when": "at once", "recovered": 0.0, "refused": False}]
    assert runs[bad, 1]["outcome"] == "failed: AssertionError: seed 1 is too small"
    assert runs[bad, 1]["unexplained"] == 3
    assert runs[silent, 1]["outcome"] == "failed: Failed: the test has told no fault"
    assert "| `test_it.py::test_fault[0]` | 2 | 0 | 0.0 s |" in campaign.page.read_text()
    said = capfd.readouterr().out
    assert "test_it.py::test_elsewhere: skipped on this machine" in said
    assert "test_it.py::test_fault[0] seed 2: passed" in said
    [log] = campaign.logs.glob("*test_fault-3-1.log")
    assert "'breaks/test_it.py::test_fault[seed=1-3]' --first-seed 1" in log.read_text()


def test_runs_of_a_kind_may_share_their_services_until_one_fails(campaign: Campaign) -> None:
    services = "@pytest.fixture(scope='session', autouse=True)\ndef services():\n    open('starts', 'a').write('x')\n"
    (campaign.root / "breaks" / "test_it.py").write_text(f"{TESTS}\n{services}")
    good, bad = "test_it.py::test_fault[0]", "test_it.py::test_fault[3]"
    assert campaign.run(minutes=5, wanted="fault[0]", most=4, together=3) == 0
    runs = record.read(campaign.results)
    assert [(run["kind"], run["seed"], run["outcome"]) for run in runs] == [
        (good, seed, "passed") for seed in (1, 2, 3, 4)
    ]
    assert (campaign.root / "starts").read_text() == "xx"
    assert campaign.run(minutes=5, wanted="fault[3]", most=3, together=3) == 3
    assert [(run["kind"], run["seed"]) for run in record.read(campaign.results)[4:]] == [(bad, s) for s in (1, 2, 3)]
    assert (campaign.root / "starts").read_text() == "xxxxx"  # new services after each failure


def test_runs_that_pytest_has_told_are_recorded_once(campaign: Campaign, tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = [sys.executable, "-m", "pytest", "breaks", "--first-seed", "4", "--account", str(told)]
    for new in (3, 0):
        subprocess.run(command, cwd=campaign.root, stdout=subprocess.DEVNULL, timeout=60, check=False)
        assert campaign.add(told) == new
        assert not told.exists()
    assert {(run["kind"].partition("::")[2], run["seed"], run["outcome"]) for run in record.read(campaign.results)} == {
        ("test_fault[0]", 4, "passed"),
        (
            "test_fault[3]",
            4,
            "failed: Failed: the test passes in spite of Figures(offsets=10, unexplained=3, cells=8, rows_different=0)",
        ),
        ("test_silent", 4, "failed: Failed: the test has told no fault"),
    }
    assert "3 runs, 2 failed." in campaign.page.read_text()


KILLED = """
import os, signal
from tests.faults.account import Figures

def test_killed(account, seed):
    with account.fault("it broke", "at once"):
        pass
    account.recovered()
    account.figures = Figures(10, 0, 8, 0)
    if seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_dies_has_failed_the_run_in_progress(campaign: Campaign) -> None:
    (campaign.root / "breaks" / "test_it.py").write_text(KILLED)
    assert campaign.run(minutes=5, most=3, together=3) == 1
    outcomes = [(run["seed"], run["outcome"].partition(" with")[0]) for run in record.read(campaign.results)]
    assert outcomes == [(1, "passed"), (2, "failed: pytest ended"), (3, "passed")]


def test_one_campaign_at_a_time_and_a_name_that_no_kind_has(campaign: Campaign) -> None:
    with locked(campaign.logs / "lock"), pytest.raises(Held):
        campaign.run(minutes=1)
    with pytest.raises(CampaignError, match="no kind of fault has 'nothing'"):
        campaign.run(minutes=1, wanted="nothing")
    assert not campaign.results.exists()


SLOW = """
import pathlib, time
from tests.faults.account import Figures

def test_slow(account, seed):
    if seed == 2:
        pathlib.Path("begun").touch()
        try:
            time.sleep(600)
        finally:
            CLEANUP
    with account.fault("it broke", "at once"):
        pass
    account.recovered()
    account.figures = Figures(10, 0, 8, 0)
"""
MAIN = """
import sys
from pathlib import Path
from tests.faults.campaign import Campaign, main
here = Path.cwd()
sys.exit(main(Campaign(here, "breaks", here / "faults.json", here / "page.md", here / "logs", nice=0)))
"""


@pytest.mark.parametrize("cleanup", ["pass", "raise RuntimeError('a service is gone')"])
def test_a_campaign_that_is_stopped_records_nothing_of_the_run_in_progress(campaign: Campaign, cleanup: str) -> None:
    (campaign.root / "breaks" / "test_it.py").write_text(SLOW.replace("CLEANUP", cleanup))
    command = [sys.executable, "-c", MAIN, "--minutes", "5", "--together", "3"]
    running = subprocess.Popen(command, cwd=campaign.root, stderr=subprocess.PIPE, text=True)
    with running:
        _wait_for(lambda: (campaign.root / "begun").exists())
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == "stopped; the run in progress is not recorded\n"
    assert [run["seed"] for run in record.read(campaign.results)] == [1]
    with locked(campaign.logs / "lock"):
        pass  # the next campaign may begin


def test_a_test_with_a_seed_that_takes_no_account_is_refused(campaign: Campaign) -> None:
    rule = "from tests.faults.conftest import pytest_generate_tests\n"
    (campaign.root / "breaks" / "conftest.py").write_text(rule)
    (campaign.root / "breaks" / "test_it.py").write_text("def test_silent(seed):\n    pass\n")
    command = [sys.executable, "-m", "pytest", "breaks", "--collect-only"]
    done = subprocess.run(command, cwd=campaign.root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "test_silent has a seed and takes no account" in done.stdout
    with pytest.raises(CampaignError, match="pytest cannot collect breaks"):
        campaign.run(minutes=1)


def _wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# It leaves two processes: one in the run's folder with an environment of its own, as a service, and one elsewhere.
LEAVES = """
import os, subprocess, sys, time
folder = sys.argv[-1]
os.makedirs(folder)
one = subprocess.Popen(["/bin/sleep", "600"], cwd=folder, env={}, start_new_session=True)
two = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
print(one.pid, two.pid, folder, flush=True)
time.sleep(600)
"""
RUNS = """
import sys
from pathlib import Path
from tests.faults.one_run import OneRun
OneRun([sys.executable, "-c", sys.argv[1]], root=Path.cwd(), log=Path(sys.argv[2])).wait()
"""


def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": str(record.ROOT)}
    command = [sys.executable, "-c", RUNS, LEAVES, str(log)]
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    with running:
        _wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
        one, two, folder = log.read_text().split()
        running.send_signal(signal.SIGINT)
        running.wait(60)
    assert not any(psutil.pid_exists(int(pid)) and _runs(int(pid)) for pid in (one, two))
    assert not Path(folder).parent.exists()


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_test_that_passes_has_told_its_faults_and_compared_after_the_last() -> None:
    account = Account()
    assert account.missing() == "the test has told no fault"
    with account.fault("driver killed", "batch 1"):
        account.figures = GOOD
    assert account.missing() == "the job has not recovered: driver killed"
    account.recovered()
    assert account.missing() is None
    with account.fault("file missing", "between two batches") as fault:
        pass
    assert account.missing() == "the test ends without a ledger and a comparison after its last fault"
    account.figures, fault.refused = GOOD, True
    assert account.missing() is None
    account.figures = Figures(offsets=10, unexplained=0, cells=0, rows_different=0)
    assert account.missing() == "the test has compared nothing"
    account.figures = Figures(offsets=10, unexplained=0, cells=8, rows_different=1)
    assert account.missing() == f"the test passes in spite of {account.figures}"


def test_a_job_recovers_with_its_first_batch_after_the_fault(tmp_path: Path) -> None:
    commits = tmp_path / "commits"
    commits.mkdir()
    (commits / "0").touch()
    os.utime(commits / "0", (0, 0))
    account = Account()
    with account.fault("driver killed", "batch 1"):
        pass
    account.recovered_in(tmp_path)
    assert account.faults[0].recovered is None
    over = time.time()
    for number, later in ((1, 7.0), (2, 90.0)):
        (commits / str(number)).touch()
        os.utime(commits / str(number), (over + later, over + later))
    (commits / ".1.crc").touch()
    account.recovered_in(tmp_path)
    assert account.faults[0].recovered == pytest.approx(7.0, abs=0.2)
    document = json.loads(json.dumps(account.document()))
    assert document["offsets"] is None
    assert document["faults"][0]["what"] == "driver killed"
