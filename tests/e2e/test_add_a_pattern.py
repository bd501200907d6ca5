"""docs/add-a-pattern.md, followed word for word in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.cassandra.session import connect
from common.settings import Settings
from tests.pages import files_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-pattern.md").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", ".venv", ".git", ".adstream", "build")
FILES = files_of(PAGE)
ENTRY = re.compile(
    r"In `(streaming/jobs\.py)`, with `(from [^`]*)` among the imports:\n\n```python\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMANDS = re.compile(r"^##+ Run .*?\n\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USUAL = {
    "streaming/patterns/campaign_reach.py",
    "streaming/jobs.py",
    "cql/027_campaign_reach.cql",
    "docs/patterns/campaign-reach.md",
    "tests/patterns/test_campaign_reach.py",
}
MINUTES = 60


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the page's files and catalogue entries."""
    copy = tmp_path / "project"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    for name, text in FILES.items():
        assert not (copy / name).exists(), f"{name} is there already"
        (copy / name).write_text(text, encoding="utf-8")
    for name, line, entry in ENTRY.findall(PAGE):
        text = (copy / name).read_text(encoding="utf-8")
        imports = re.findall(r"^from streaming\.patterns\..*\n", text, re.MULTILINE)
        after = max(each for each in imports if each < line)
        text = text.replace(after, f"{after}{line}\n", 1).replace("_CATALOGUE = [\n", f"_CATALOGUE = [\n{entry}", 1)
        (copy / name).write_text(text, encoding="utf-8")
    return copy


def run(project: Path, *command: str, seconds: int = 300) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_usual_job_is_five_files_and_a_new_topic_two_more() -> None:
    written = [*FILES]
    entries = [name for name, _, _ in ENTRY.findall(PAGE)]
    assert {*written[:4], *entries[:1]} == USUAL
    assert written[4:6] == ["schemas/parking-value.v1.avsc", "producer/generators/parking.py"]
    assert len(written[6:]) == 4
    assert len(entries) == 2
    assert all(f"`{name}`" in PAGE[: PAGE.index("## 1.")] for name in USUAL)


@pytest.mark.timeout(MINUTES * 60)
@pytest.mark.thorough
def test_with_the_pages_files_all_unit_tests_pass(project: Path) -> None:
    run(project, "ruff", "check", ".")
    run(project, "ruff", "format", "--check", ".")
    own = [name for name in FILES if name.startswith("tests/")]
    said = run(project, "pytest", "-q", "-n", "2", "--dist", "loadfile", *own, "tests/unit", seconds=MINUTES * 60)
    assert " passed" in said
    assert "deselected" not in said


@pytest.mark.thorough
def test_the_page_leads_to_jobs_that_run(stack: Settings, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stack.data_dir.is_dir()
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", "add_a_pattern")
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")
    listed = run(project, "adstream.cli", "jobs")
    assert "campaign-reach" in listed
    assert "parking-arrivals" in listed
    reach, parking = [
        [run(project, "adstream.cli", *line.split()[1:]) for line in commands.splitlines()]
        for commands in COMMANDS.findall(PAGE)
    ]
    assert "views" in reach[-1]
    with connect(stack.cassandra.model_copy(update={"keyspace": "add_a_pattern"}), keyspace="add_a_pattern") as session:
        # Eight events of the sample have 10 views or more, and one of them is a repetition.
        assert sum(row.views for row in session.execute("SELECT views FROM campaign_reach")) == 140
    rows = [re.sub(r"\s+", " ", line) for line in parking[-1].splitlines()]
    assert any("north 2025-06-02 08:15:00 2025-06-02 08:30:00 1" in row for row in rows), parking[-1]
    assert any("north 2025-06-02 08:00:00 2025-06-02 08:15:00 2" in row for row in rows)
    assert any("south 2025-06-02 08:00:00 2025-06-02 08:15:00 1" in row for row in rows)
