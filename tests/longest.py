"""Reports the seconds of each test over all runs of one `make test`, whether all tests passed, and why some did not.

    pytest tests/unit --times build/tests/unit.json
    python -m tests.longest build/tests

The second command prints the longest tests, and the reason of each failure. It fails unless make has left the file
`passed`, which make writes when all went well.
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

SHOWN = 10
# A reason may hold all lines that a job has printed.
_REASON_SIGNS = 1_500


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=Path, help="file to write how long each test took")


def pytest_configure(config: pytest.Config) -> None:
    times = config.getoption("times")
    if times and not hasattr(config, "workerinput"):  # xdist's processes report to this one
        config.pluginmanager.register(Times(times.absolute()))


class Times:
    """Writes the seconds of each test, with its setup and teardown, and of the whole run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self._tests: dict[str, float] = defaultdict(float)
        self._failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._tests[report.nodeid] += report.duration
        if report.failed:
            self._failed[report.nodeid] = reason(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        took = {"seconds": time.monotonic() - self._began, "tests": self._tests, "failed": self._failed}
        self._file.write_text(json.dumps(took, indent=1), encoding="utf-8")


def reason(report: pytest.TestReport) -> str:
    """Return the place and the message of the failure. Of a long message return both ends."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = f"{crash.path}:{crash.lineno}: {crash.message}" if crash else report.longreprtext
    half = _REASON_SIGNS // 2
    return said if len(said) <= _REASON_SIGNS else f"{said[:half]}\n[...]\n{said[-half:]}"


def main(folder: Path) -> int:
    runs = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
    tests = [(seconds, name) for run in runs.values() for name, seconds in run["tests"].items()]
    print(f"\nThe longest of {len(tests):,} tests:")
    for seconds, name in sorted(tests, reverse=True)[:SHOWN]:
        print(f"{seconds:7.1f} s  {name}")
    print("The runs:", ", ".join(f"{name} {run['seconds']:,.0f} s" for name, run in runs.items()))
    if (folder / "passed").exists():
        print("All passed.")
        return 0
    for name, why in ((name, why) for run in runs.values() for name, why in run["failed"].items()):
        print(f"FAILED {name}\n{why}")
    print("error: not all passed; look above for what failed", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
