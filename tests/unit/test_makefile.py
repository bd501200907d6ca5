"""A kill of make reaches the processes that it runs: make is the direct parent of each test run and service.

No shell stands between them.
"""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# GNU make starts a shell for a line with any of these outside single quotes (`sh_chars_sh` in its src/job.c).
SHELL = set('#;"*?[]&|<>(){}$`^~!')
TESTS = ("test", "test-patterns", "test-browser", "test-compose", "test-faults")
TARGETS = (*TESTS, "demo", "tour", "up", "down", "bench", "soak", "soak-real-time", "day", "faults", "mutants")


def test_no_test_run_or_service_is_behind_a_shell() -> None:
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    asked = ["make", "--dry-run", "--no-print-directory", *TARGETS]
    done = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith((".venv/bin/", "make "))]
    assert sum("/pytest " in line for line in lines) >= 7, lines
    assert [line for line in lines if set("".join(line.split("'")[::2])) & SHELL] == []
