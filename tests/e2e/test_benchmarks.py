"""The benchmarks run in a tiny size and write their results. Peers that need a download do not run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from benchmarks import page, rates, triggers
from common.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder for results, in place of the repository's."""
    for name in ("performance.md", "real-time.md", "guarantees.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    return tmp_path


@pytest.fixture
def here(docs: Path, stack: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Benchmarks in this process and its JVM, in a session of their own whose options they may change."""
    monkeypatch.setattr(page, "DOCS", docs)
    monkeypatch.setattr(page, "PAGE", docs / "performance.md")
    for module in (rates, triggers):
        monkeypatch.setattr(module, "spark_session", lambda *_: nullcontext(spark.newSession()))
    before = dict(os.environ)
    yield docs
    os.environ.clear()
    os.environ.update(before)


def run(docs: Path, module: str, *options: str, exit_codes: tuple[int, ...] = (0,)) -> str:
    """Run one benchmark to its end, as a command. Return its part of the page."""
    done = started(docs, module, *options)
    assert done.returncode in exit_codes, done.stdout + done.stderr
    return written(docs, module.replace("_", "-"))


def started(docs: Path, module: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT), "BENCH_DOCS": str(docs)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def written(docs: Path, module: str) -> str:
    """Check that table, single runs and plot exist. Return the benchmark's part of the page."""
    assert json.loads((docs / "results" / f"{module}.json").read_text(encoding="utf-8"))["runs"]
    assert (docs / "images" / f"{module}.png").stat().st_size > 1_000
    text = (docs / "performance.md").read_text(encoding="utf-8")
    part = text.partition(f"<!-- {module}: begin -->")[2].partition(f"<!-- {module}: end -->")[0]
    assert f"images/{module}.png" in part
    return part


def test_the_sinks_benchmark_runs_and_writes_its_results(stack: Settings, docs: Path) -> None:
    part = run(docs, "sink", "--rows", "1000", "--rounds", "1")
    assert "| single rows, the driver's own way |" in part
    assert "| batches of 100, value by value |" in part
    assert "| batches of 100, by column |" in part


def test_the_dashboards_benchmark_runs_the_page_in_both_states(stack: Settings, docs: Path) -> None:
    part = run(docs, "dashboard", "--rows", "6000", "--active", "2", "--runs", "2")
    assert "| 2 and 480 |" in part, part
    assert "| 6,000 and 8,640 |" in part, part


@pytest.mark.thorough
def test_throughput_runs(stack: Settings, docs: Path) -> None:
    part = run(docs, "throughput", "--messages", "2000", "--rounds", "1", "--memory", "1g", "--no-peers")
    for name in ("ad-metrics, as it is", "ad-metrics, dedupe off", "tutorial's, one query", "tutorial's, two queries"):
        assert f"| {name}" in part, part
    assert "Flink" not in part, part


def test_a_run_that_is_not_there_is_answered_in_one_line(docs: Path) -> None:
    done = started(docs, "throughput", "--only", "storm")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --only storm names no run"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_triggers_runs_and_sees_every_probe(here: Path) -> None:
    triggers.main(rate=[100], trigger=[0], seconds=3, warm=1, compiling=3)
    part = written(here, "triggers")
    (line,) = [line.split(" | ") for line in part.splitlines() if line.startswith("| 100 ")]
    assert line[6] == "0", part


@pytest.mark.thorough
def test_latency_runs_and_adds_up_what_each_group_of_processes_costs(stack: Settings, docs: Path) -> None:
    load = ("--rate", "100", "--warm", "1", "--seconds", "5")
    part = run(docs, "latency", "--only", "micro", "--only", "real-time", *load)
    ((_, micro), (_, real_time)) = [
        (line, line.split(" | ")) for line in part.splitlines() if line.startswith(("| micro", "| ad-metrics"))
    ]
    assert micro[8] == real_time[8] == "0", part
    runs = json.loads((docs / "results" / "latency.json").read_text(encoding="utf-8"))["runs"]
    assert not runs["missing"]
    of_micro, of_real_time = (each["seconds_of"] for each in runs["measured"])
    assert min(of_micro[group] for group in ("job", "Kafka", "Cassandra", "sender", "reader")) > 0
    assert of_real_time["applying"] > 0
    assert "| ad-metrics --real-time | 100 |" in (docs / "real-time.md").read_text(encoding="utf-8")


@pytest.mark.thorough
def test_latency_finds_the_most_restarts_and_pauses(stack: Settings, docs: Path) -> None:
    parts = [option for part in ("most", "restarts", "pauses") for option in ("--part", part)]
    load = ("--rate", "100", "--warm", "5", "--seconds", "8", "--minutes", "0.2", "--length", "6", "--no-tried")
    done = started(docs, "latency", *parts, *load)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (docs / "real-time.md").read_text(encoding="utf-8")
    for line in ("| 100 | ", "| 0.2 | 100 | ", "| 6 s | as it is | "):
        assert line in text, text


def test_rates_runs_from_the_producer_to_the_whole_plan(here: Path) -> None:
    rates.main(messages=2_000, rounds=1)
    part = written(here, "rates")
    for name in ("producer", "debug consumer", "Spark: reading", "... and counted", "... and summed up"):
        assert f"| {name}" in part, part


@pytest.mark.thorough
def test_state_runs_and_only_active_ads_change_rows(docs: Path) -> None:
    run(docs, "state", "--part", "ways", "--ads", "1000", "--ads", "2000", "--memory", "1g")
    runs = json.loads((docs / "results" / "state.json").read_text(encoding="utf-8"))["runs"]
    assert len(runs) == 8
    assert {each["rows_out"] for each in runs} == {3_000}  # each active ad has two windows and a total
    kept = {each["ads"]: each["rows"] for each in runs if each["store"] == "memory" and not each["dedupe"]}
    assert kept[2_000] - kept[1_000] == 3_000, kept


@pytest.mark.thorough
def test_startup_runs_with_and_without_the_archive(stack: Settings, docs: Path) -> None:
    part = run(docs, "startup", "--messages", "100", "--rounds", "1")
    assert "| with the class archive |" in part
    assert "| second start in the same JVM |" in part


@pytest.mark.thorough
def test_cluster_runs_here_and_on_workers_with_either_file_system(stack: Settings, docs: Path) -> None:
    done = started(docs, "cluster", "--batches", "4", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads((docs / "results" / "cluster.json").read_text(encoding="utf-8"))["runs"]
    assert len(runs) == 3
    for side, ((first, *_),) in runs.items():
        assert f"| {side} |" in (docs / "performance.md").read_text(encoding="utf-8")
        assert 0 < first["state"] < first["rows"] < first["whole"]


@pytest.mark.thorough
def test_many_ads_runs_on_services_of_its_own(docs: Path) -> None:
    load = ("--events", "5000", "--rate", "2000", "--warm", "3000", "--ads", "1000")
    assert "| this version |" in run(docs, "many_ads", *load, "--rounds", "1")
    runs = json.loads((docs / "results" / "many-ads.json").read_text(encoding="utf-8"))["runs"]
    assert sum(runs["this version"][0]["rows"]) > 1_000


@pytest.mark.thorough
def test_the_soak_accounts_for_every_offset(stack: Settings, docs: Path) -> None:
    # In so short a time memory still grows, and then the soak exits with 1.
    part = run(docs, "soak", "--minutes", "0.5", "--rate", "200", exit_codes=(0, 1))
    assert ", 0 unexplained; " in part, part
    assert ", 0 rows differ." in part, part


@pytest.mark.thorough
def test_the_soak_in_real_time_accounts_for_every_offset(stack: Settings, docs: Path) -> None:
    load = ("--minutes", "0.5", "--rate", "200", "--length", "20")
    done = started(docs, "soak", "--real-time", *load)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    text = (docs / "real-time.md").read_text(encoding="utf-8")
    part = text.partition("<!-- soak-real-time: begin -->")[2].partition("<!-- soak-real-time: end -->")[0]
    assert ", 0 unexplained; " in part, part
    assert ", 0 rows differ." in part, part
    assert "were not counted" not in part, part
    assert "| from event to row, s: p50 |" in part, part
    assert "| memory, MiB: applying process |" in part, part


@pytest.mark.thorough
def test_a_day_in_two_minutes_is_as_planned(stack: Settings, docs: Path) -> None:
    done = started(docs, "day", "--minutes", "2", "--rate", "500", "--date", "2026-03-29")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (docs / "guarantees.md").read_text(encoding="utf-8")
    part = text.partition("<!-- day: begin -->")[2].partition("<!-- day: end -->")[0]
    assert "at 01:00 UTC the clock in Europe/Berlin goes from 01:59:59 to 03:00" in part, part
    (line,) = [line.split(" | ") for line in part.splitlines() if line.startswith("| 2026-03-29 ")]
    assert line[1] == line[2] == "2,522", line
    assert line[-1] == "yes |", line


def test_a_day_of_the_future_is_answered_in_one_line(docs: Path) -> None:
    done = started(docs, "day", "--date", "9999-01-01")
    assert done.returncode == 1
    assert done.stderr == "error: 9999-01-01 is not over yet; give a day of the past with --date\n"
