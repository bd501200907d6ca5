"""docs/add-a-pattern.md, followed word for word in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-pattern.md").read_text(encoding="utf-8")
COPIED = ("adstream", "consumer", "cql", "producer", "schemas", "stack", "streaming", "tests", "docs", "pyproject.toml")
FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(
    r"`(producer/events\.py|streaming/jobs\.py)`, with[^:]*:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMANDS = re.compile(r"^## Run it\n\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMPORTS = {
    "producer/events.py": ("mobile, orders, ", "mobile, orders, parking, "),
    "streaming/jobs.py": (
        "from streaming.patterns.rack_alerts",
        "from streaming.patterns.parking_arrivals import parking_arrivals\nfrom streaming.patterns.rack_alerts",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy with the page's files written and its catalogue lines put in."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy / name)
    files = FILE.findall(PAGE)
    assert len(files) == 6
    for name, text in files:
        assert not (copy / name).exists(), f"{name} is there already"
        (copy / name).write_text(text, encoding="utf-8")
    lines = LINE.findall(PAGE)
    assert len(lines) == 2
    for name, line in lines:
        before, after = IMPORTS[name]
        text = (copy / name).read_text(encoding="utf-8")
        assert before in text
        text = text.replace(before, after, 1).replace("_CATALOGUE = [\n", f"_CATALOGUE = [\n{line}", 1)
        (copy / name).write_text(text, encoding="utf-8")
    return copy


def run(project: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.thorough
def test_the_page_leads_to_a_job_that_runs(stack: Settings, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stack.data_dir.is_dir()
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", "add_a_pattern")
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")
    tests = ("tests/patterns/test_parking_arrivals.py", "tests/unit/test_jobs.py")
    run(project, "pytest", "-q", *tests, "-k", "not documented_parameters")
    assert "parking-arrivals" in run(project, "adstream.cli", "jobs")
    [commands] = COMMANDS.findall(PAGE)
    said = [run(project, "adstream.cli", *line.split()[1:]) for line in commands.splitlines()]
    rows = [re.sub(r"\s+", " ", line) for line in said[-1].splitlines()]
    assert any("north 2025-06-02 08:15:00 2025-06-02 08:30:00 1" in row for row in rows), said[-1]
    assert any("north 2025-06-02 08:00:00 2025-06-02 08:15:00 2" in row for row in rows)
    assert any("south 2025-06-02 08:00:00 2025-06-02 08:15:00 1" in row for row in rows)
