"""A user's project: its additions, its limits, and the answer to a wrong setting."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import contracts, project
from common.cassandra.cql_files import of_project
from common.cassandra.primary_keys import primary_keys
from common.errors import BadInput, ConfigError
from streaming.job import Job
from streaming.jobs import JOBS
from streaming.spark import shipping

AVSC = '{"type":"record","name":"N","fields":[{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}}]}'
CODE = """
from streaming.job import Job
JOBS = [Job("mine", "of my own", "own_notes", lambda events: events)]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package `own_project` in the working folder, with a contract, a migration and a job."""
    made = tmp_path / "own_project"
    for name in ("schemas", "cql"):
        (made / name).mkdir(parents=True)
    (made / "__init__.py").write_text(CODE, encoding="utf-8")
    (made / "schemas" / "own_notes-value.v1.avsc").write_text(AVSC, encoding="utf-8")
    (made / "cql" / "001_notes.cql").write_text("CREATE TABLE IF NOT EXISTS notes (id text PRIMARY KEY);")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADSTREAM_PROJECT", "own_project")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield made
    sys.modules.pop("own_project", None)


def test_without_the_setting_there_is_none() -> None:
    assert project.root() is None
    assert project.joined(JOBS, "JOBS") is JOBS
    assert of_project() == []


def test_its_jobs_contracts_and_tables_stand_beside_the_others(folder: Path) -> None:
    assert list(project.joined(JOBS, "JOBS")) == [*JOBS, "mine"]
    assert project.joined({}, "SOURCES") == {}
    assert {"own_notes", "ads_data"} <= set(contracts.names())
    assert contracts.latest("own_notes").time_field == "t"
    assert [each.label for each in of_project()] == ["001_notes"]
    assert str(primary_keys()["notes"]) == "(id)"


def test_executors_get_it_too(folder: Path) -> None:
    shipped = dict(shipping._code())
    assert shipped["own_project/__init__.py"] == folder / "__init__.py"
    assert "streaming/jobs.py" in shipped


def test_the_program_knows_the_job(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from adstream.cli import main; import sys; sys.argv[1:] = ['jobs']; main()"],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "ADSTREAM_PROJECT": "own_project", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "\nmine " in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["no_such_package", "not-a-name", "this", "a.b"])
def test_a_name_without_a_package_is_answered_in_one_line(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_PROJECT", name)
    with pytest.raises(ConfigError, match=f"ADSTREAM_PROJECT names {name}, and there is no such package; run this in"):
        project.root()


def test_names_of_adstreams_own_are_refused(folder: Path) -> None:
    (folder / "__init__.py").write_text(CODE.replace("mine", "logins"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"logins in own_project\.JOBS is adstream's own name; choose another one"):
        project.joined(JOBS, "JOBS")
    (folder / "schemas" / "ads_data-value.v9.avsc").write_text(AVSC, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ads_data-value\.v9\.avsc is for a subject of adstream's own"):
        contracts.names()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os\nimport no_such\n", "ModuleNotFoundError: No module named 'no_such'; correct {} line 2"),
        (
            "import os\n\nJOBS = [(]\n",
            "SyntaxError: closing parenthesis ']' does not match opening parenthesis '('; correct {} line 3",
        ),
        (
            "def made():\n    return 1 / 0\n\n\nJOBS = made()\n",
            "ZeroDivisionError: division by zero; correct {} line 2",
        ),
        ("raise SystemExit\n", "SystemExit; correct {} line 1"),
    ],
)
def test_a_project_that_cannot_be_imported_is_one_line_with_the_place(folder: Path, code: str, said: str) -> None:
    file = folder / "__init__.py"
    file.write_text(code, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        project.joined(JOBS, "JOBS", Job)
    assert str(refused.value) == f"the project own_project cannot be imported: {said.format(file)}"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("JOBS = 5", "own_project.JOBS holds 5; make it a list of Job"),
        ("JOBS = ['mine']", "own_project.JOBS holds 'mine'; make it a list of Job"),
        (CODE.replace("[Job", "Job").replace("]", ""), "own_project.JOBS is no list; make it a list of Job"),
    ],
)
def test_jobs_that_are_no_list_of_jobs_are_one_line(folder: Path, code: str, said: str) -> None:
    (folder / "__init__.py").write_text(code, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(said)):
        project.joined(JOBS, "JOBS", Job)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "cannot be read: Expecting property name"),
        (b"\xff", "cannot be read: 'utf-8' codec can't decode"),
        (b"[]", "is no Avro record with fields that have a name and a type"),
        (b'{"type": "record", "name": "N"}', "is no Avro record with fields that have a name and a type"),
        (b'{"type": "record", "name": "N", "fields": [{"name": "t"}]}', "is no Avro record with fields"),
    ],
)
def test_a_contract_that_is_no_record_is_one_line(folder: Path, text: bytes, said: str) -> None:
    file = folder / "schemas" / "own_notes-value.v1.avsc"
    file.write_bytes(text)
    with pytest.raises(BadInput, match=re.escape(f"contract {file} {said}")):
        contracts.latest("own_notes")
