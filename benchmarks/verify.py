"""Measures the duration of `adstream verify ad-metrics` on millions of messages: `python -m benchmarks.verify`.

Runs against the stack of the settings (`adstream up`). Its topics and keyspace stay for a second run (`--again`). With
`--job` the job fills the tables first, and the result must be equal. Without the job all rows are missing, and the run
measures the independent computation alone. Results go into docs/performance.md.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adstream.verify.ad_metrics import Verified
from adstream.verify.ad_metrics import verify as run_verify
from benchmarks import page
from benchmarks.pipeline import command, own_pipeline, produce
from common import kafka
from common.settings import Settings
from producer.traffic import Mix
from streaming.patterns.ad_metrics import LATENESS, SLIDE, WINDOW

NAME = "adstream_benchmark_verify"
MIX = Mix(keys=1_000, late=0.01, duplicates=0.02, broken=0.005)


class Stages:
    """Collects the seconds of each stage from the progress lines."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()
        self._stage = "starting"

    def __call__(self, stage: str, _done: int, _all: int) -> None:
        now = time.perf_counter()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._since, self._stage = now, stage


def run_job(checkpoint: Path) -> None:
    job = [sys.executable, "-m", "adstream.cli", "stream", "ad-metrics", "--once", "--checkpoint", str(checkpoint)]
    subprocess.run(job, check=True)


def write_checkpoint(settings: Settings, checkpoint: Path) -> None:
    """Write the files that verify reads from the checkpoint of a job that has read everything."""
    options = {
        "topic": NAME, "topic_id": kafka.topic_id(settings, NAME), "dedupe": True,
        "window_seconds": WINDOW.total_seconds(), "slide_seconds": SLIDE.total_seconds(),
        "lateness_seconds": LATENESS.total_seconds(),
    }  # fmt: skip
    ends = kafka.end_offsets(settings, NAME)
    for name, content in {
        "adstream.json": options,
        "metadata": {"id": "benchmark"},
        "sources/0/0": {NAME: dict.fromkeys(ends, 0)},
        "offsets/0": {NAME: ends},
        "commits/0": {},
    }.items():
        file = checkpoint / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")


def main(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages in the topic.")] = 10_000_000,
    job: Annotated[bool, typer.Option(help="Let the job fill the tables first.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Verify what an earlier run left.")] = False,
) -> None:
    """Measure, print, and write the result into docs/performance.md."""
    console, settings = Console(highlight=False), own_pipeline(NAME)
    checkpoint = settings.data_dir / "benchmark-verify" / ("job" if job else "no-job")
    if not again:
        rate = messages / produce(settings, NAME, messages, MIX)
        console.print(f"{messages:,} messages sent, {rate:,.0f}/s")
        if job:
            run_job(checkpoint)
        else:
            write_checkpoint(settings, checkpoint)
        # Verify in a process of its own. Its CPU and memory then belong to verify alone.
        verifying = [sys.executable, "-m", "benchmarks.verify", "--again", "--job" if job else "--no-job"]
        sys.exit(subprocess.run(verifying, check=False).returncode)
    stages, began = Stages(), time.perf_counter()
    found = run_verify(settings, checkpoint, progress=stages)
    seconds = time.perf_counter() - began
    stages("", 0, 0)
    if job and not found.equal:
        raise AssertionError(f"{found.comparison.differences} {found.ledger.puzzles}")
    write(found, stages, seconds)


def write(found: Verified, stages: Stages, seconds: float) -> None:
    peaks = [resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    fates = ", ".join(f"{count:,} {fate}" for fate, count in found.fates.items())
    used = [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    tables = "the tables were filled by the job, and are equal" if found.equal else "the tables were left empty"
    intro = [
        f"{found.ledger.offsets:,} messages ({fates}), {found.comparison.rows:,} rows; {tables}.",
        f"{sum(used):.0f} s of CPU, {sum(used) / found.ledger.offsets * 1e6:.0f} µs per message.",
        f"Peak memory {peaks[0]:.1f} GiB, and {peaks[1]:.1f} GiB in the largest process of those that read.",
        page.conditions(),
    ]
    lines = [(stage, f"{spent:.1f}") for stage, spent in stages.seconds.items()]
    lines.append((f"all, {found.ledger.offsets / seconds:,.0f} messages/s", f"{seconds:.1f}"))
    page.write("verify", intro, ("stage", "seconds"), lines)


if __name__ == "__main__":
    command(main)
