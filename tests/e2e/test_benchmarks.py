"""The benchmarks that need the whole stack run, in a tiny size and without the peers that would have to be fetched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adstream.settings import Settings

ROOT = Path(__file__).parents[2]


def run(module: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--no-write", *options]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.thorough
def test_throughput_runs(stack: Settings) -> None:
    said = run("throughput", "--messages", "2000", "--rounds", "1", "--no-peers")
    for name in ("ad-metrics, as it is", "ad-metrics, dedupe off", "tutorial's, one query", "tutorial's, two queries"):
        assert f"round 1: {name}" in said, said


@pytest.mark.thorough
def test_latency_runs(stack: Settings) -> None:
    said = run("latency", "--rate", "100", "--trigger", "0", "--seconds", "3", "--warm", "1")
    assert "'not seen': '0'" in said, said
