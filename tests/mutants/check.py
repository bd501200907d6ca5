"""The mutation check: puts each fault of the catalogue into a copy of the project, and demands that its test fails.

    python -m tests.mutants [--only TEXT] [--new]

The tests first have to pass without any fault. Then each fault has a run of pytest of its own. A fault is caught if its
test fails by itself. A run that cannot import, collect or end proves nothing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from common.system.file_lock import Held, locked
from tests.faults.one_run import NICE, OneRun, end_by_signals
from tests.mutants import record
from tests.mutants.catalogue import FAULTS
from tests.mutants.fault import Fault, FaultError
from tests.mutants.record import Result

PASSED, FAILED = 0, 1  # exit codes of pytest
# A test that waits for ever because of a fault fails after this time.
TEST_SECONDS = 240
RUN_SECONDS = 600.0
PACKAGES = ("adstream", "common", "consumer", "producer", "stack", "streaming")
_NOT_COPIED = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info")
_DOTTED = (".ci", ".env.example", ".dockerignore")
# With these a test has not judged the fault's behaviour.
_NO_PROOF = re.compile(r"(ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError)\b")
_LONGEST_FAILURE = 100


class CheckError(Exception):
    """The check cannot go on: one line to read."""


@dataclass(frozen=True)
class Check:
    """The project to copy, its faults, and where the results go."""

    root: Path = record.ROOT
    catalogue: Sequence[Fault] = FAULTS
    packages: Sequence[str] = PACKAGES
    results: Path = record.RESULTS
    page: Path = record.PAGE
    logs: Path = record.ROOT / "build" / "mutants"
    nice: int = NICE

    def run(self, only: str = "", *, new: bool = False) -> int:
        """Check the faults with this text in their name, file or test. Returns how many were not caught.

        With `new`, leaves out faults that were caught as they are now. Raises Held while another check runs here,
        CheckError, and FaultError for a fault that no longer fits.
        """
        chosen = [each for each in self.catalogue if only in each.name or only in each.file or only in each.test]
        if not chosen:
            raise CheckError(f"no fault has {only!r} in its name, file or test")
        if new:
            before = record.read(self.results)
            chosen = [each for each in chosen if not (record.current(each, before) and before[each.name]["caught"])]
        if not chosen:
            _say("each of these faults was caught")
            return 0
        mutants = [each.applied(self.root) for each in chosen]
        with locked(self.logs / "lock"), self._copy() as copy:
            self._require_green(copy, chosen)
            missed = 0
            for number, (fault, mutant) in enumerate(zip(chosen, mutants, strict=True), 1):
                found = self._one(copy, fault, mutant, number)
                missed += not found["caught"]
                self._keep(found)
                outcome = "caught" if found["caught"] else f"NOT CAUGHT ({found['failure']})"
                _say(f"{number}/{len(chosen)} {outcome} in {found['seconds']:.0f} s: {fault.name}")
            return missed

    def _one(self, copy: Path, fault: Fault, mutant: str, number: int) -> Result:
        with _in_place(copy / fault.file, mutant, number):
            log = self.logs / f"{re.sub(r'[^a-z0-9]+', '-', fault.name.lower()).strip('-')}.log"
            began = time.monotonic()
            code = self._pytest(copy, [fault.test], log)
            seconds = time.monotonic() - began
        said = log.read_text(encoding="utf-8", errors="replace")
        failure = failure_of(said, fault.test)
        caught = code == FAILED and failure != "" and not _NO_PROOF.match(failure)
        if caught:
            log.unlink()
        elif code == PASSED:
            failure = "its test passes"
        elif not failure:
            failure = f"pytest ended with {code}; see {log}"
        return {
            **asdict(fault),
            "caught": caught,
            "seconds": round(seconds, 1),
            "failure": failure[:_LONGEST_FAILURE].rstrip(),
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _require_green(self, copy: Path, chosen: Sequence[Fault]) -> None:
        """Raise CheckError unless the tests of the chosen faults pass without any fault."""
        tests = list(dict.fromkeys(each.test for each in chosen))
        _say(f"{len(chosen)} faults; first their {len(tests)} tests without any")
        log = self.logs / "without-a-fault.log"
        began = time.monotonic()
        code = self._pytest(copy, tests, log, limit=RUN_SECONDS * len(tests))
        if code != PASSED:
            last = _last_line(log.read_text(encoding="utf-8", errors="replace"))
            raise CheckError(f"without a fault pytest ends with {code}: {last}; see {log}")
        _say(f"they pass, in {time.monotonic() - began:.0f} s")

    def _keep(self, found: Result) -> None:
        results = record.read(self.results) | {found["name"]: found}
        record.keep(self.results, self.catalogue, results)
        record.show(self.page, record.read(self.results))

    def _pytest(self, copy: Path, tests: Sequence[str], log: Path, limit: float = RUN_SECONDS) -> int:
        command = [sys.executable, "-m", "pytest", "-x", "--timeout", str(TEST_SECONDS), *tests]
        environment = {"PYTHONPATH": str(copy)}
        return OneRun(command, root=copy, log=log, nice=self.nice, environment=environment, limit=limit).wait()

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        """A copy of the project that Python imports instead of the installed one. Raises CheckError."""
        with tempfile.TemporaryDirectory(prefix="adstream-mutants-") as folder:
            copy = Path(folder) / "project"
            shutil.copytree(self.root, copy, ignore=_NOT_COPIED, symlinks=True)
            for name in _DOTTED:
                place = self.root / name
                if place.is_dir():
                    shutil.copytree(place, copy / name)
                elif place.exists():
                    shutil.copy2(place, copy / name)
            self._require_imported(copy)
            yield copy

    def _require_imported(self, copy: Path) -> None:
        """Raise CheckError if a package comes from elsewhere. The working folder must not help."""
        program = f"import {', '.join(self.packages)}\n" + "".join(
            f"print({package}.__file__)\n" for package in self.packages
        )
        asked = [sys.executable, "-c", program]
        done = subprocess.run(
            asked,
            cwd=copy.parent,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        elsewhere = [line for line in done.stdout.splitlines() if not Path(line).is_relative_to(copy)]
        if done.returncode or elsewhere:
            raise CheckError(f"Python does not import the copy: {elsewhere or _last_line(done.stderr)}")


@contextmanager
def _in_place(file: Path, text: str, number: int) -> Iterator[None]:
    """Put the text into the file, and the old one back.

    Python takes a compiled file for current if the source's size and its time in seconds are the same. So each text
    has a time of its own.
    """
    before, times = file.read_bytes(), file.stat()
    file.write_text(text, encoding="utf-8")
    os.utime(file, (times.st_atime, int(times.st_mtime) - number))
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def failure_of(said: str, test: str) -> str:
    """Return the error of the named test in pytest's summary, or its place if the error has no text; else empty."""
    for line in said.splitlines():
        found = re.match(rf"FAILED {re.escape(test)}(?:\[.*?\])?(?: - (.*))?$", line)
        if found:
            return found[1] or line.removeprefix("FAILED ")
    return ""


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")


def _say(line: str) -> None:
    print(line, flush=True)


def main(check: Check | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Run the mutation check.")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults with this text in name, file or test")
    parser.add_argument("--new", action="store_true", help="only faults that have not been caught as they are now")
    given = parser.parse_args()
    end_by_signals()
    try:
        missed = (check or Check()).run(given.only, new=given.new)
    except KeyboardInterrupt:
        print("stopped; the fault in progress is not recorded", file=sys.stderr)
        return 130
    except Held as other:
        print(f"error: another check runs here, process {other.holder}; wait for its end", file=sys.stderr)
        return 1
    except (CheckError, FaultError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    if missed:
        print(f"error: {missed} not caught; write the missing test", file=sys.stderr)
    return 1 if missed else 0
