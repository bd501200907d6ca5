"""The catalogue: every job is whole, its parameters are options of the command, its pattern is pure."""

import ast
import inspect
from datetime import timedelta
from pathlib import Path

import pytest

from adstream.commands.stream import stream
from common import contracts
from common.cassandra.cql_files import committed
from common.errors import ConfigError
from streaming import patterns
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.jobs import JOBS, find
from streaming.sinks.tables import Tables

ROOT = Path(__file__).parents[2]
PATTERN_FILES = sorted(Path(patterns.__path__[0]).glob("*.py"))
DOCUMENTED = {
    "ad-clicks": {"window": "0:00:30", "slide": "0:00:10", "watermark": "0:01:00", "dedupe": "True"},
    "ad-metrics": {"window": "0:01:00", "slide": "0:00:30", "lateness": "0:10:00", "dedupe": "True"},
    "ad-tail": {},
    "error-alerts": {"window": "0:15:00", "threshold": "100", "watermark": "0:10:00"},
    "expiring-totals": {"timeout": "1:00:00", "watermark": "0:10:00"},
    "fruit-categories": {"watermark": "0:10:00"},
    "hourly-sales": {"window": "1:00:00", "watermark": "0:10:00"},
    "logins": {"window": "0:05:00", "watermark": "0:10:00"},
    "mobile-actions": {"window": "0:10:00", "watermark": "0:10:00"},
    "order-values": {"window": "1:00:00", "watermark": "0:10:00"},
    "rack-alerts": {"threshold": "100", "readings": "3", "watermark": "0:10:00"},
    "rack-temperatures": {"window": "0:10:00", "slide": "0:05:00", "watermark": "0:10:00"},
    "running-totals": {"watermark": "0:10:00"},
    "sensor-averages": {"window": "0:05:00", "watermark": "0:00:30"},
    "sensor-moving-averages": {"window": "0:05:00", "slide": "0:01:00", "watermark": "0:00:30"},
    "session-windows": {"gap": "0:00:30", "watermark": "0:10:00"},
    "top-products": {"window": "0:30:00", "watermark": "0:10:00"},
    "transaction-totals": {},
    "transaction-windows": {"window": "0:03:00", "watermark": "0:10:00"},
    "unique-visitors": {"window": "1:00:00", "slide": "0:30:00", "watermark": "0:10:00"},
    "user-clicks": {"window": "0:01:00", "watermark": "0:10:00"},
    "user-sessions": {"gap": "0:00:30", "watermark": "0:10:00"},
}


def test_the_catalogue_has_every_job_with_its_documented_parameters() -> None:
    found = {name: {each: str(value) for each, value in job.parameters.items()} for name, job in JOBS.items()}
    assert found == DOCUMENTED
    assert list(BATCH_JOBS) == ["daily-sales"]


def test_every_parameter_is_an_option_of_the_command() -> None:
    options = inspect.signature(stream).parameters
    assert {name for job in JOBS.values() for name in job.parameters} <= options.keys()


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_every_job_has_a_contract_a_page_and_the_tables_that_it_writes(job: object) -> None:
    assert contracts.latest(job.contract).time_field  # type: ignore[attr-defined]
    page = (ROOT / "docs" / "patterns" / f"{job.name}.md").read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert page.startswith(f"# {job.name}\n")  # type: ignore[attr-defined]
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    for heading in ("question", "Picture", "Input", "Output", "Options", "trap", "When to use it", "Try it"):
        assert any(heading.lower() in each.lower() for each in headings), heading
    for option in job.parameters:  # type: ignore[attr-defined]
        assert f"`--{option}" in page
    made = "".join(migration.text for migration in committed())
    for sink in job.sinks:  # type: ignore[attr-defined]
        for table in sink.names if isinstance(sink, Tables) else ():
            assert f"CREATE TABLE IF NOT EXISTS {table} (" in made


@pytest.mark.parametrize("file", PATTERN_FILES, ids=lambda file: file.stem)
def test_a_pattern_is_pure(file: Path) -> None:
    allowed = ("pyspark.", "streaming.patterns", "collections", "dataclasses", "datetime", "decimal", "typing", "heapq")
    allowed += ("itertools", "functools", "abc", "math", "operator")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert f"{name}.".startswith(tuple(f"{each.rstrip('.')}." for each in allowed)), (
                f"{file.name} imports {name}"
            )


def test_parameters_are_checked_before_anything_starts() -> None:
    job = find("ad-clicks")
    assert job.with_parameters(window=timedelta(minutes=1)).described()["window_seconds"] == 60
    for wrong, said in [
        ({"gap": timedelta(1)}, "ad-clicks has no --gap"),
        ({"window": timedelta(0)}, "--window must be longer than nothing"),
        ({"slide": timedelta(seconds=7)}, "is not a multiple of --slide"),
    ]:
        with pytest.raises(ConfigError, match=said):
            job.with_parameters(**wrong)
    with pytest.raises(ConfigError, match="--threshold 0 cannot be used"):
        find("rack-alerts").with_parameters(threshold=0)
    with pytest.raises(ConfigError, match="ad-metrics does not run in complete mode; it runs in update"):
        find("ad-metrics").in_mode("complete")


def test_an_unknown_job_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean user-clicks"):
        find("user-click")
