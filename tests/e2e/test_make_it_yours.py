"""docs/make-it-yours.md, followed word for word in an empty folder, with adstream installed as a wheel."""

import io
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import pytest

from common.avro import wire
from common.cassandra.session import connect
from common.settings import Settings
from tests.e2e.commands import everything_on
from tests.installed import ROOT, Installed
from tests.pages import files_of

PAGE = (ROOT / "docs" / "make-it-yours.md").read_text(encoding="utf-8")
FILES = files_of(PAGE)
COMMANDS = re.findall(r"^## Run it\n.*?```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUARTER = timedelta(minutes=15)


def figures(settings: Settings, contract: str) -> dict[tuple[str, datetime], tuple[int, int]]:
    """Count the raw topic in plain Python: (depot, start) -> parcels and grams."""
    schema = fastavro.parse_schema(fastavro.schema.load_schema(contract))
    sums: dict[tuple[str, datetime], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for message in everything_on(settings, "scans"):
        scan = fastavro.schemaless_reader(io.BytesIO((message.value() or b"")[wire.HEADER_BYTES :]), schema, None)
        assert isinstance(scan, dict)
        time = scan["scanned_at"]
        window = scan["depot"], time - (time - datetime(1970, 1, 1, tzinfo=UTC)) % QUARTER
        parcels, grams = sums[window]
        sums[window] = parcels + 1, grams + scan["grams"]
    return dict(sums)


def test_what_the_page_calls_new_is_under_50_lines_and_counted_right() -> None:
    assert set(FILES) == {
        ".env", "parcels/schemas/scans-value.v1.avsc", "parcels/cql/001_depot_loads.cql", "parcels/__init__.py"
    }  # fmt: skip
    lines = sum(bool(line.strip()) for text in FILES.values() for line in text.splitlines())
    assert lines < 50
    assert f"It is {lines} lines" in PAGE


@pytest.mark.parametrize("check", [["check"], ["format", "--check", "--line-length", "120"]])
def test_the_pages_code_is_tidy(check: list[str], tmp_path: Path) -> None:
    (tmp_path / "parcels.py").write_text(FILES["parcels/__init__.py"], encoding="utf-8")
    command = [sys.executable, "-m", "ruff", *check, "--isolated", "--no-cache", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.thorough
def test_a_project_of_ones_own_runs_with_the_installed_wheel_and_its_table_is_right(
    stack: Settings, installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in COMMANDS[0].splitlines():
        done = installed.run(tmp_path, *shlex.split(command))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert "depot-0" in done.stdout
    with connect(stack.cassandra, keyspace="parcels") as session:
        rows = list(session.execute("SELECT * FROM depot_loads"))
        history = [row.name for row in session.execute("SELECT name FROM project_migrations")]
    assert history == ["depot_loads"]
    written = {(row.depot, row.window_start.replace(tzinfo=UTC)): (row.parcels, row.grams) for row in rows}
    assert written == figures(stack, str(tmp_path / "parcels/schemas/scans-value.v1.avsc"))
    assert sum(parcels for parcels, _ in written.values()) == 5000
    again = installed.run(tmp_path, "adstream", "migrate")
    assert "depot_loads  already there" in again.stdout, again.stderr
