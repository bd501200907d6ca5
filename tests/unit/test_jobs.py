"""The catalogue: every job is complete, its page explains its options, and its pattern is pure."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

from adstream.commands.option_tables import table, with_table
from common import contracts
from common.cassandra.cql_files import committed
from common.errors import ConfigError
from streaming import patterns
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.job import Job
from streaming.jobs import JOBS, find
from streaming.sinks.sink import tables_of

ROOT = Path(__file__).parents[2]
PATTERN_FILES = sorted(Path(patterns.__path__[0]).glob("*.py"))
JOB_PAGES = [page for page in sorted((ROOT / "docs" / "patterns").glob("*.md")) if page.name != "README.md"]


def test_every_page_is_that_of_a_job() -> None:
    assert {page.stem for page in JOB_PAGES} == JOBS.keys() | BATCH_JOBS.keys()


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_every_job_has_a_contract_a_page_and_the_tables_that_it_writes(job: Job) -> None:
    assert contracts.latest(job.contract).time_field
    page = (ROOT / "docs" / "patterns" / f"{job.name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {job.name}\n")
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    for heading in ("question", "Picture", "Input", "Output", "Options", "trap", "When to use it", "Try it"):
        assert any(heading.lower() in each.lower() for each in headings), heading
    lines = table(job)
    assert page == with_table(page, job), "its options have changed; `make docs` writes them"
    assert not lines or "\n".join(lines) in page
    for parameter in job.declared.values():
        assert parameter.meaning, f"{parameter.option} says nothing of what it means"
        assert any(f"`{parameter.option}`" in line and parameter.default_text in line for line in lines)
    made = "".join(migration.text for migration in committed())
    for name in tables_of(job.sinks):
        assert f"CREATE TABLE IF NOT EXISTS {name} (" in made


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
        ({"slide": timedelta(minutes=1)}, "--window 30s is not a multiple of --slide 1m"),
    ]:
        with pytest.raises(ConfigError, match=said):
            job.with_parameters(**wrong)
    with pytest.raises(ConfigError, match="--threshold 0 cannot be used"):
        find("rack-alerts").with_parameters(threshold=0)
    with pytest.raises(ConfigError, match="ad-metrics does not run in complete mode; it runs in update"):
        find("ad-metrics").in_mode("complete")


@pytest.mark.parametrize("job", [job for job in JOBS.values() if "slide" in job.declared], ids=lambda job: job.name)
def test_an_event_is_in_a_bounded_number_of_windows(job: Job) -> None:
    by_ten_minutes = job.with_parameters(window=timedelta(days=1), slide=timedelta(minutes=10))
    assert by_ten_minutes.parameters["slide"] == timedelta(minutes=10)
    with pytest.raises(ConfigError) as refused:
        job.with_parameters(window=timedelta(hours=1), slide=timedelta(milliseconds=1))
    assert str(refused.value) == (
        "--window 1h with --slide 1ms puts each event into 3,600,000 windows; give a window of 144 slides or less"
    )
    with pytest.raises(ConfigError, match="puts each event into 145 windows"):
        by_ten_minutes.with_parameters(window=timedelta(days=1, minutes=10))


def test_an_unknown_job_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean user-clicks"):
        find("user-click")
