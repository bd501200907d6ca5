"""Measures batches with many ads, whose cost depends on the number of rows: `python -m benchmarks.many_ads`.

Starts its own services, the shipped `adstream stream ad-metrics`, and `adstream produce ads` at a steady rate. It waits
until the job has counted every event. `--other FOLDER` measures another version, in alternating runs: FOLDER is its
checkout with a `.venv`, and supplies services, job and producer. Results go into docs/performance.md.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from benchmarks import page, plots
from benchmarks.pipeline import JOB, STOP_SECONDS, Process, command
from stack import local, state

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 300.0
BATCH = re.compile(r"batch \d+ · ([\d,]+) events in ([\d.]+) s.*? · ([\d,]+) rows written")
HEAD = (
    *("build", "batch, s: median (range)", "rows a batch", "rows/s", "until all were counted, s"),
    *("Python workers, µs of CPU a row", "Cassandra, µs of CPU a row"),
)


@dataclass
class Run:
    """The batches of one load. `seconds` run from the first event until the job has counted all."""

    batches: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    seconds: float = 0.0
    workers_cpu: float = 0.0
    server_cpu: float = 0.0


class Build:
    """A checkout with its Python, and a folder for the data of one run."""

    def __init__(self, root: Path, data: Path) -> None:
        self._root, self.data = root, data
        python = sys.executable if root == ROOT else str(root / ".venv" / "bin" / "python")
        self._command = [python, "-m", "adstream.cli"]
        ports = {f"ADSTREAM_STACK_{service.name.upper()}_PORT": "0" for service in local.SERVICES}
        own = {"ADSTREAM_DATA_DIR": str(data), "ADSTREAM_SPARK_UI": "false"}
        self._environment = os.environ | ports | own | {"PYTHONPATH": str(root)}

    def run(self, *arguments: str) -> None:
        """Run a command to its end. Raises CalledProcessError."""
        asked = [*self._command, *arguments]
        subprocess.run(asked, env=self._environment, cwd=self.data, check=True, stdout=subprocess.DEVNULL)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Process]:
        """Run a command until the block ends."""
        with (self.data / "errors.log").open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [*self._command, *arguments],
                env=self._environment,
                cwd=self.data,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)


class Counted:
    """Collects the job's reports of its batches."""

    def __init__(self, job: Process) -> None:
        self.events, self.batches, self.rows = 0, list[float](), list[int]()
        self._job = job
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._job.stdout or ():
            if found := BATCH.match(line):
                events, rows = (int(found[group].replace(",", "")) for group in (1, 3))
                self.batches.append(float(found[2]))
                self.rows.append(rows)
                self.events += events

    def wait_for(self, events: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while self.events < events:
            if self._job.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{self.events:,} of {events:,} events were counted")
            time.sleep(0.05)


def measure(build: Build, events: int, rate: int, ads: int, warm: int) -> Run:
    """Measure one run, in a stack of its own."""
    build.run("up")
    try:
        build.run("schema", "register")
        build.run("migrate")
        mix = ("--ads", str(ads))
        build.run("produce", "ads", "--count", str(warm), "--rate", "0", *mix)
        with build.started("stream", JOB) as job:
            counted = Counted(job)
            counted.wait_for(warm)
            before = (len(counted.batches), *_spent(build, job))
            began = time.monotonic()
            build.run("produce", "ads", "--count", str(events), "--rate", str(rate), *mix)
            counted.wait_for(warm + events)
            seconds, after = time.monotonic() - began, _spent(build, job)
            rows = counted.rows[before[0] :]
            each = 1e6 / max(1, sum(rows))
            spent = [(late - early) * each for late, early in zip(after, before[1:], strict=True)]
            return Run(counted.batches[before[0] :], rows, seconds, *spent)
    finally:
        build.run("down")


def _spent(build: Build, job: Process) -> tuple[float, float]:
    """Return the CPU seconds so far of Spark's Python workers and of Cassandra."""
    below = psutil.Process(job.pid).children(recursive=True)
    server = psutil.Process(state.read(build.data).services["cassandra"].pid)
    return sum(_cpu(each) for each in below if _is_worker(each)), _cpu(server)


def _is_worker(process: psutil.Process) -> bool:
    """Return whether this is a Python worker of Spark. A process that has just ended is none."""
    try:
        return "pyspark" in " ".join(process.cmdline()) and "java" not in process.name()
    except psutil.Error:
        return False


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def line(name: str, runs: list[Run]) -> tuple[str, ...]:
    """Return the table's line for a build, over all batches of its runs."""
    batches = [seconds for run in runs for seconds in run.batches]
    rows = [count for run in runs for count in run.rows]
    return (
        name,
        page.spread(batches),
        page.spread(rows, 0),
        f"{sum(rows) / sum(batches):,.0f}",
        page.spread([run.seconds for run in runs], 0),
        page.spread([run.workers_cpu for run in runs], 0),
        page.spread([run.server_cpu for run in runs], 0),
    )


def main(
    events: Annotated[int, typer.Option(min=1, help="Events of a run.")] = 1_800_000,
    rate: Annotated[int, typer.Option(min=1, help="Events a second.")] = 20_000,
    ads: Annotated[int, typer.Option(min=1, help="Different ads.")] = 200_000,
    warm: Annotated[int, typer.Option(min=1, help="Events before them, which are not measured.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each build, in turns.")] = 2,
    other: Annotated[Path | None, typer.Option(help="Checkout of another version, with its .venv.")] = None,
) -> None:
    """Measure, and write the results."""
    console = Console(highlight=False)
    builds = {"this version": ROOT} | ({other.name: other.absolute()} if other else {})
    runs: dict[str, list[Run]] = {name: [] for name in builds}
    for turn in range(rounds):
        for name, root in builds.items():
            with tempfile.TemporaryDirectory(prefix="adstream-many-") as folder:
                runs[name].append(measure(Build(root, Path(folder)), events, rate, ads, warm))
            median = statistics.median(runs[name][-1].batches)
            console.print(f"round {turn + 1} of {rounds}, {name}: a batch took {median:.1f} s")
    intro = [f"{events:,} events at {rate:,} a second over {ads:,} ads, {rounds} runs.", page.conditions()]
    times = {name: [seconds for run in done for seconds in run.batches] for name, done in runs.items()}
    shown = page.plot(
        "many-ads", "Seconds of a batch", lambda figure: plots.bars(figure.subplots(), times, "s: median and range")
    )
    lines = [line(name, done) for name, done in runs.items()]
    kept = {name: [asdict(run) for run in done] for name, done in runs.items()}
    page.write("many-ads", intro, HEAD, lines, picture=shown, runs=kept)


if __name__ == "__main__":
    command(main)
