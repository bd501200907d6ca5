"""The shell's completion, by the protocol between `adstream --show-completion` and bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adstream.commands.completion import own_options
from common import contracts
from producer.events import SOURCES
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.job import Job
from streaming.jobs import JOBS

HEAVY = ("pyspark", "confluent_kafka", "cassandra", "httpx2", "pandas", "pyarrow")
PROGRAM = f"""
import sys
from adstream.cli import main
try:
    main()
finally:
    print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
ROOT = Path(__file__).parents[2]


def offered(words: str, **environment: str) -> list[str]:
    """Return bash's offers for the last word. Completion must not load a slow library."""
    typed = f"adstream {words}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "_ADSTREAM_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split(" ")) - 1),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "loaded:\n"
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("stream ", [*JOBS]),
        ("sql ", [*JOBS]),
        ("reset ", [*JOBS]),
        ("explain ", [*JOBS, *BATCH_JOBS]),
        ("show ", [*JOBS, *BATCH_JOBS]),
        ("batch ", [*BATCH_JOBS]),
        ("verify ", ["ad-metrics"]),
        ("backfill ", ["ad-metrics"]),
        ("produce ", [*SOURCES, *JOBS, *BATCH_JOBS]),
        ("schema check ", contracts.names()),
        ("consume ", sorted([*contracts.names(), "ads_data.dead-letters"])),
        ("stream ad-metrics --topic ads", ["ads_data", "ads_data.dead-letters"]),
        ("stream user-", ["user-clicks", "user-sessions"]),
        ("str", ["stream"]),
        ("dead-letters ", ["list", "explain", "replay"]),
        ("explain ad-metrics --format ", ["text", "mermaid"]),
        ("stream nothing-like-it", []),
        ("stream ad-metrics --la", ["--lateness"]),
        ("stream rack-alerts --t", ["--topic", "--trigger", "--threshold"]),
        ("stream ad-clicks --no-", ["--no-dedupe"]),
        ("stream user-sessions --win", []),
        ("stream --win", []),
    ],
)
def test_the_shell_is_offered(words: str, names: list[str]) -> None:
    found = offered(words)
    assert set(found) == set(names)
    assert len(found) >= len(names)


def test_topics_are_those_of_the_settings() -> None:
    assert offered("consume mine", ADSTREAM_TOPIC_ADS="mine") == ["mine"]


def test_settings_that_cannot_be_used_offer_nothing_and_say_nothing() -> None:
    assert offered("consume ", ADSTREAM_TOPIC_PARTITIONS="none") == []
    assert set(offered("stream ", ADSTREAM_PROJECT="no_such_package")) == set(JOBS)


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_the_options_that_the_shell_is_offered_are_the_patterns(job: Job) -> None:
    assert own_options(job.name) == {name: each.kind is bool for name, each in job.declared.items()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_shown(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adstream.cli", "--show-completion"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
             "_ADSTREAM_COMPLETE": f"source_{shell}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "adstream" in done.stdout
    assert "_ADSTREAM_COMPLETE" in done.stdout
