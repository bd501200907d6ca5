"""A Spark session in a process of its own, whose environment a test chooses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def answer(program: str, folder: Path, *arguments: str, **environment: str) -> Any:
    """Run a Python program with its data in `folder`, and return the JSON of its last line."""
    own = {"PYTHONPATH": str(ROOT), "ADSTREAM_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | own | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
