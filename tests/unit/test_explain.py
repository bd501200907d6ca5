"""`adstream explain` draws every job completely, as text and as Mermaid, from the catalogue."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from adstream.cli import app
from common.cassandra.cql_files import committed
from common.cassandra.primary_keys import PrimaryKey, primary_keys
from common.errors import ConfigError
from common.provision import topic_of
from common.settings import Settings
from common.text.durations import duration_text, parse_duration
from streaming.flow import Flow, of_job
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.job import Job
from streaming.jobs import JOBS, find
from streaming.patterns.ad_metrics import LATENESS, SLACK
from streaming.patterns.keyed_state import KeyRules
from streaming.sinks.iceberg import IcebergTable
from streaming.sinks.sink import tables_of

LABEL = r'(?:\["[^"]+"\]|\[\("[^"]+"\)\])'
NODE = re.compile(rf"(\w+){LABEL}")
EDGE = re.compile(r'(\w+) (?:-->|-\.->|-- "[^"]+" -->) (\w+)')
AS_TEXT, AS_MERMAID = ("--format", "text"), ("--format", "mermaid")


def explained(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["explain", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def step(flow: Flow, name: str) -> str:
    [found] = [each for each in flow.steps if each.name == name]
    return "; ".join((*found.facts, *found.details))


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
@pytest.mark.parametrize("how", [AS_TEXT, AS_MERMAID], ids=["text", "mermaid"])
def test_every_job_names_its_topic_its_tables_and_its_times(job: Job, how: tuple[str, str]) -> None:
    said = re.sub(r"(<br/>|\s|│)+", " ", explained(job.name, *how))
    assert f"Kafka topic {topic_of(Settings(), job.contract)}" in said
    assert f"contract {job.contract}, version" in said
    assert ("Kafka topic ads_data.dead-letters" in said) is bool(job.sinks)  # a run into the console publishes none
    keys = primary_keys()
    for table in tables_of(job.sinks):
        assert f"Cassandra table ads.{table}" in said
        assert f"primary key {keys[table]}" in said
    for sink in job.sinks:
        assert not isinstance(sink, IcebergTable) or f"Iceberg table lakehouse.demo.{sink.name}" in said
    for name, value in job.parameters.items():
        option = job.declared[name].option
        assert option in said
        assert not isinstance(value, timedelta) or f"{duration_text(value)} ({option})" in said
    assert f"mode {job.output_mode}" in said
    assert f"a batch every {duration_text(job.trigger)}" in said
    assert "{" not in said


@pytest.mark.parametrize("name", [*JOBS, *BATCH_JOBS])
def test_mermaid_defines_each_box_once_and_joins_all_of_them(name: str) -> None:
    first, *lines = explained(name, *AS_MERMAID).splitlines()
    assert first == "flowchart LR"
    inside = [line.strip() for line in lines]
    assert inside.count("end") == 1
    assert re.fullmatch(r'subgraph query \["[^"]+"\]', inside[1])
    rest = [line for line in inside if line != "end" and not line.startswith("subgraph")]
    boxes = [found[1] for line in rest if (found := NODE.fullmatch(line))]
    arrows = [found.groups() for line in rest if (found := EDGE.fullmatch(line))]
    assert len(boxes) + len(arrows) == len(rest)
    assert len(set(boxes)) == len(boxes)
    assert {end for arrow in arrows for end in arrow} == set(boxes)


@pytest.mark.parametrize("name", [*JOBS, *BATCH_JOBS])
def test_text_is_plain_in_a_pipe_and_not_too_wide(name: str) -> None:
    said = explained(name)
    assert said.startswith(f"{name}: ")
    assert "\x1b" not in said
    assert "[bold" not in said
    assert max(map(len, said.splitlines()[2:])) <= 100


def test_an_output_that_takes_only_ascii_gets_no_more() -> None:
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "adstream.cli", "explain", "fruit-categories"]
    said = subprocess.run(command, check=True, timeout=120, env=ascii_only, capture_output=True).stdout.decode("ascii")
    assert "v watermark" in said
    assert "|<-- file: fruit_categories.csv" in said
    assert "`-> Cassandra table ads.fruit_categories" in said


def test_state_follows_from_mode_windows_kinds_and_rules() -> None:
    settings = Settings()

    def state(job: Job) -> str:
        return step(of_job(job, settings), "state")

    windows = find("transaction-windows")
    assert "one row per user_id and window, for ever" in state(windows)
    assert "until the watermark passes its end" in state(windows.in_mode("update"))
    assert "drops nothing" in step(of_job(windows, settings), "watermark")
    assert "late is what it has passed" in step(of_job(windows.in_mode("update"), settings), "watermark")
    assert "one row per user_id, for ever" in state(find("transaction-totals"))
    assert "one row of kind total per ad_id, for ever" in state(find("ad-metrics"))
    assert "one row per window, until" in state(find("unique-visitors"))
    assert "until the watermark is 30s past the last event" in state(find("session-windows"))
    assert "until the watermark is 2h past the last" in state(
        find("expiring-totals").with_parameters(timeout=timedelta(hours=2))
    )
    assert state(find("ad-tail")) == state(find("fruit-categories")) == "none: each event makes its rows by itself"
    assert "event_id" in state(find("ad-clicks"))
    assert "event_id" not in state(find("ad-clicks").with_parameters(dedupe=False))
    assert "a repeated event counts again" in step(
        of_job(find("ad-clicks").with_parameters(dedupe=False), settings), "dedupe"
    )


def test_the_watermark_is_the_one_that_the_pattern_sets() -> None:
    assert find("ad-metrics").watermark == LATENESS + SLACK
    assert find("user-clicks").watermark == timedelta(minutes=10)
    assert find("ad-tail").watermark is None
    assert f"{duration_text(LATENESS + SLACK)} behind the newest" in explained("ad-metrics")


def test_every_rule_says_how_long_it_remembers() -> None:
    for job in JOBS.values():
        if job.state is not None:
            assert issubclass(job.state, KeyRules)
            assert job.state.lasts.format(**job.parameters)


def test_names_and_limits_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_TOPIC_ADS", "clicks-eu")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", "eu")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS", "7")
    monkeypatch.setenv("ADSTREAM_SPARK_STATE_STORE", "memory")
    said = explained("ad-metrics")
    for name in ("Kafka topic clicks-eu\n", "eu.ad_metrics_by_window", "a row lives 7 days", "in memory, with"):
        assert name in said
    assert "a row stays" in explained("rack-alerts"), "its last change is a rack's status"


def test_what_mermaid_would_take_for_markup_is_escaped() -> None:
    job = replace(find("logins"), concerns='kind <> "a" & n # 1')
    assert "kind <> " in step(of_job(job, Settings()), "filter")
    from adstream.commands.flow_pages import as_mermaid

    [line] = [line for line in as_mermaid(of_job(job, Settings())) if "filter<br/>" in line]
    assert "only where kind #60;#62; #34;a#34; #38; n #35; 1" in line


def test_primary_keys_are_those_of_the_migrations() -> None:
    found = primary_keys()
    text = "".join(migration.text for migration in committed())
    assert set(found) == set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", text))
    assert found["ad_metrics"] == PrimaryKey(("ad_id",))
    assert found["logins"] == PrimaryKey(("day",), ("window_start",))
    assert found["product_totals"] == PrimaryKey(("window_start",), ("product_id",))
    assert str(found["ad_metrics"]) == "(ad_id)"
    assert str(found["fruit_categories"]) == "((category, day), timestamp, id)"


@pytest.mark.parametrize("text", ["500ms", "90s", "30s", "1m", "10m", "1h", "36h", "7d", "0"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    assert duration_text(parse_duration(text)) == text


def test_no_spark_is_started() -> None:
    program = """
from typer.testing import CliRunner
from adstream.cli import app
assert CliRunner().invoke(app, ["explain", "ad-metrics"]).exit_code == 0
from pyspark import SparkContext
assert SparkContext._gateway is None
"""
    without_java = os.environ | {"PATH": "", "JAVA_HOME": "/none"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=without_java)


def test_a_job_that_is_not_there_is_answered_with_the_nearest() -> None:
    failed = CliRunner().invoke(app, ["explain", "daily-sale"])
    assert isinstance(failed.exception, ConfigError)
    assert str(failed.exception) == "there is no job daily-sale; did you mean daily-sales?"
