"""Sets the wall clock of a program and its children, and of no other process (shifted_clock.c)."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class ShiftedClock:
    """A clock that programs with this `environment` read. It is right until `set_by` sets it."""

    environment: dict[str, str]

    def set_by(self, seconds: int) -> None:
        """Set the clock back or forward, from the right time. Programs notice within a second."""
        file = Path(self.environment["SHIFTED_CLOCK_FILE"])
        beside = file.with_suffix(".new")
        beside.write_text(f"{seconds}\n", encoding="ascii")
        beside.replace(file)


def shifted_clock(folder: Path) -> ShiftedClock:
    """Compile the library into the folder. Skips the test where there is no compiler, or another C library."""
    library, file = folder / "shifted_clock.so", folder / "shift"
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler `cc` is installed, which makes the library that shifts clocks")
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, _SOURCE, "-ldl"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        pytest.skip(f"the library that shifts clocks does not compile here: {made.stderr.strip().splitlines()[-1]}")
    clock = ShiftedClock({"LD_PRELOAD": str(library), "SHIFTED_CLOCK_FILE": str(file)})
    clock.set_by(-3_600)
    asked = [sys.executable, "-c", "import time; print(time.time())"]
    told = subprocess.run(
        asked, env=os.environ | clock.environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert abs(float(told.stdout) + 3_600 - time.time()) < 60
    clock.set_by(0)
    return clock
