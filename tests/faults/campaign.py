"""The fault campaign: runs the fault tests for some time, each run with a new seed, and records all of them.

    python -m tests.faults.campaign --minutes 60 [--kind TEXT] [--runs COUNT] [--together COUNT]
    python -m tests.faults.campaign --add FILE

Each test of tests/faults that takes a seed is a kind of fault, and so is each case of one. The next run is of the kind
that has the fewest. A campaign goes on where the last one stopped; one that is stopped in a run does not record it.
`--add` records the runs of any `pytest tests/faults --first-seed N --account FILE`.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.system.file_lock import Held, locked
from tests.faults import record
from tests.faults.account import Account, kind_and_seed, moment
from tests.faults.one_run import NICE, OneRun, end_by_signals
from tests.faults.record import Run

FIRST = "seed=1"
PASSED, FAILED, INTERNAL = 0, 1, 3  # exit codes of pytest; a negative one is a signal's


class CampaignError(Exception):
    """The campaign cannot go on: one line to read."""


@dataclass(frozen=True)
class Campaign:
    """Where tests are, and where their results go. `tests` is relative to `root`."""

    root: Path = record.ROOT
    tests: str = "tests/faults"
    results: Path = record.RESULTS
    page: Path = record.PAGE
    logs: Path = record.ROOT / "build" / "faults"
    nice: int = NICE

    def run(self, minutes: float, wanted: str = "", most: int | None = None, together: int = 1) -> int:
        """Begin runs until the time is over, or there were as many as `most`. Returns how many failed.

        So many runs as `together` are of the same kind, with one start of the services. The last ones end in their own
        time. Raises Held while another campaign runs here, and CampaignError.
        """
        with locked(self.logs / "lock"):
            runs = record.read(self.results)
            record.show(self.page, runs)
            end = time.monotonic() + 60 * minutes
            tests = {kind: test for kind, test in self.kinds().items() if wanted in kind}
            if not tests:
                raise CampaignError(f"no kind of fault has {wanted!r} in its name")
            _say(f"{len(tests)} kinds, {len(runs):,} runs so far")
            failed, last = 0, len(runs) + most if most is not None else None
            while tests and time.monotonic() < end and len(runs) != last:
                kind, seed = record.next_run(list(tests), runs)
                count = together if last is None else min(together, last - len(runs))
                before = len(runs)
                for found in self._runs(kind, tests[kind], range(seed, seed + count)):
                    runs = record.append(self.results, found)
                    record.show(self.page, runs)
                    failed += found["outcome"] != "passed"
                    _say(f"{_line(found)} · {max(0.0, end - time.monotonic()) / 60:.0f} min left")
                if len(runs) == before:
                    _say(f"{kind}: skipped on this machine")
                    del tests[kind]
            return failed

    def add(self, told: Path) -> int:
        """Record the runs that `pytest --account` has told in a file, and delete it. Returns how many were new.

        The file must be of the present commit. Raises Held.
        """
        with locked(self.logs / "lock"):
            runs = record.read(self.results)
            known = {(run["kind"], run["seed"]) for run in runs}
            new = [each for each in _taken(told) if (each["kind"], each["seed"]) not in known]
            for each in new:
                runs = record.append(self.results, _recorded(self._commit(), each))
            record.show(self.page, runs)
            return len(new)

    def kinds(self) -> dict[str, str]:
        """Kind -> the test's id with seed 1, as pytest collects them."""
        asked = [*self._pytest(self.tests), "--collect-only", "-q"]
        done = subprocess.run(asked, cwd=self.root, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != PASSED:
            raise CampaignError(f"pytest cannot collect {self.tests}: {_last(done.stdout + done.stderr)}")
        tests = [line for line in done.stdout.splitlines() if "::" in line]
        return {found[0]: test for test in tests if (found := kind_and_seed(test))}

    def _runs(self, kind: str, test: str, seeds: range) -> Iterator[Run]:
        """Run a test with these seeds, one after another on the same services, until one fails; yields each run.

        Yields nothing if the tests were skipped. Ctrl-C yields the runs that have ended, and is raised again.
        """
        name = re.sub(r"\W+", "-", f"{kind} {seeds[0]}").strip("-")
        told = self.logs / f"{name}.jsonl"
        told.unlink(missing_ok=True)
        tests = [test.replace(FIRST, f"seed={seed}") for seed in seeds]
        given = ["--exitfirst", "--first-seed", str(seeds[0]), "--seeds", str(len(seeds)), "--account", str(told)]
        one = OneRun([*self._pytest(*tests), *given], root=self.root, log=self.logs / f"{name}.log", nice=self.nice)
        commit, date, began = self._commit(), moment(datetime.now(UTC)), time.monotonic()
        try:
            code = one.wait()
        except KeyboardInterrupt:
            yield from (_recorded(commit, each) for each in _taken(told))
            raise
        documents = _taken(told)
        yield from (_recorded(commit, each) for each in documents)
        if code == PASSED:
            one.log.unlink()
        elif (code < 0 or code == INTERNAL) and len(documents) < len(seeds):
            said = _last(one.log.read_text(encoding="utf-8", errors="replace"))
            outcome = f"failed: pytest ended with {code}: {said}"
            run = {
                "kind": kind,
                "seed": seeds[len(documents)],
                "date": date,
                "seconds": round(time.monotonic() - began, 1),
            }
            yield _recorded(commit, {**run, "outcome": outcome, **Account().document()})
        elif code != FAILED or not documents:
            raise CampaignError(f"pytest ended with {code} and no outcome; see {one.log}")

    def _pytest(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", *arguments]

    def _commit(self) -> str:
        """The commit, with a + where files other than pages and results are changed."""
        git = ("git", "-C", str(self.root))
        asked = [*git, "rev-parse", "--short=10", "HEAD"]
        head = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
        asked = [*git, "status", "--porcelain", "--", ".", ":(exclude)docs"]
        changed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout
        return f"{head or 'unknown'}{'+' if changed else ''}"


def _taken(told: Path) -> list[dict[str, Any]]:
    """What the tests have told, in their order. The file is gone then."""
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    told.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def _recorded(commit: str, told: Mapping[str, Any]) -> Run:
    """A run as the results keep it."""
    times = [each["recovered"] for each in told["faults"] if each["recovered"] is not None]
    place = {"kind": told["kind"], "seed": told["seed"], "commit": commit}
    head = {name: told[name] for name in ("date", "outcome", "seconds")}
    return {**place, **head, "seconds_to_recover": max(times, default=None), **told}


def _last(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")


def _line(run: dict[str, Any]) -> str:
    what = f"{run['kind']} seed {run['seed']}: {run['outcome']} in {run['seconds']:.0f} s"
    if run["offsets"] is None:
        return what
    recovered = "" if run["seconds_to_recover"] is None else f" · recovered in {run['seconds_to_recover']:.1f} s"
    ledger = f"{run['offsets']:,} offsets, {run['unexplained']:,} unexplained"
    return f"{what}{recovered} · {ledger} · {run['cells']:,} cells, {run['rows_different']:,} rows differ"


def _say(line: str) -> None:
    print(line, flush=True)


def main(campaign: Campaign | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description="Run the fault campaign.")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no run after this time (60)")
    parser.add_argument("--kind", default="", metavar="TEXT", help="only kinds with this text in their name")
    parser.add_argument("--runs", type=int, metavar="COUNT", help="at most so many runs")
    parser.add_argument(
        "--together", type=int, default=1, metavar="COUNT", help="so many runs of a kind on the same services (1)"
    )
    parser.add_argument("--add", type=Path, metavar="FILE", help="record the runs in this file of --account, and end")
    given = parser.parse_args()
    end_by_signals()
    try:
        if given.add:
            _say(f"{(campaign or Campaign()).add(given.add)} runs are new")
            return 0
        failed = (campaign or Campaign()).run(given.minutes, given.kind, given.runs, given.together)
    except KeyboardInterrupt:
        print("stopped; the run in progress is not recorded", file=sys.stderr)
        return 130
    except Held as other:
        print(f"error: another campaign runs here, process {other.holder}; wait for its end", file=sys.stderr)
        return 1
    except CampaignError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
