"""Runs a steady load for half an hour or longer, to see which figures grow: `make soak`, `make soak-real-time`.

`python -m benchmarks.soak --minutes 90` runs longer. Runs against the local stack (`adstream up`), with topics and a
keyspace of its own. `adstream produce ads` sends late, repeated and broken messages among the good ones. `adstream
stream ad-metrics` runs with its usual trigger, or with `--real-time`. Every five seconds this process measures both,
the services, and the disk. At the end `adstream verify` accounts for every offset.

A line is fitted through the second half of each series. The series is flat if the line grows by less than its limit, as
a share of that half's mean. Exits with 1 if a series is not flat, or an offset is unexplained. Ctrl-C ends the soak
early, and writes the measurements so far.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import page
from benchmarks.pipeline import JOB, command, configure, own_pipeline, started
from benchmarks.soaking import results
from benchmarks.soaking.real_time import WatchedInRealTime
from benchmarks.soaking.series import Sample, judge
from benchmarks.soaking.watched import PATIENCE_SECONDS, Watched
from common import kafka
from common.settings import Settings
from common.system.stopping import stop_requested
from streaming.real_time.suits import TRIGGER

SAMPLE_SECONDS = 5.0
USUAL, USUAL_IN_REAL_TIME = 5_000, 1_000
SHOWS = "Memory, time of a batch, disk, lag and processors over the soak"
SHOWS_IN_REAL_TIME = "Memory, freshness, disk, waiting rows, processors and commits over the soak in real-time mode"


def age_out(settings: Settings, minutes: float) -> None:
    """Set the topic's retention to these minutes. The broker checks every five minutes."""
    configure(settings, settings.topic.ads, {"retention.ms": int(minutes * 60_000), "segment.ms": 60_000})


def watch(watched: Watched, seconds: float, stopping: threading.Event) -> tuple[list[float], list[Sample]]:
    """Measure every five seconds until the time is over, a stop is requested, or a process ends by itself.

    The first measurement follows the first rows. Returns the minutes and the measurements.
    """
    minutes: list[float] = []
    samples: list[Sample] = []
    console = Console(highlight=False, soft_wrap=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("waiting for the first rows", total=seconds)
        until = time.monotonic() + PATIENCE_SECONDS
        while not ((begun := watched.begun()) or watched.ended or time.monotonic() > until or stopping.wait(0.5)):
            pass
        began, spent = time.monotonic(), 0.0
        while begun and spent < seconds and not watched.ended and not stopping.is_set():
            samples.append(watched.look())
            minutes.append(spent / 60)
            said = watched.said(samples[-1])
            bar.update(task, completed=spent, description=said)
            if not console.is_terminal and len(samples) % 12 == 1:
                console.print(f"minute {spent / 60:.0f}: {said}")
            stopping.wait(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - spent)))
            spent = time.monotonic() - began
    return minutes, samples


def verify(checkpoint: Path, *, partial: bool, seconds: float) -> dict[str, Any]:
    """Run `adstream verify` and return its result.

    With `partial`, it compares only the windows whose messages remain.
    """
    asked = [sys.executable, "-m", "adstream.cli", "verify", JOB, "--checkpoint", str(checkpoint), "--json"]
    asked += ["--partial"] if partial else []
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, timeout=seconds, check=False)
    return dict(json.loads(done.stdout)) if done.stdout else {"equal": False}


def missed(settings: Settings, found: dict[str, Any]) -> int:
    """Return how many messages of the topic are behind the last batch that was verified."""
    partitions = found.get("ledger", {}).get("partitions", [])
    reached = {each["partition"]: each["to"] for each in partitions}
    ends = kafka.end_offsets(settings, settings.topic.ads)
    return sum(end - reached.get(partition, 0) for partition, end in ends.items())


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="From the first rows on.")] = 30.0,
    rate: Annotated[
        int | None, typer.Option(min=1, help="Messages a second. Default 5,000, in real time 1,000.")
    ] = None,
    late: Annotated[float, typer.Option(help="Share of events 11 to 30 minutes late.")] = 0.01,
    duplicates: Annotated[float, typer.Option(help="Share of events sent again.")] = 0.02,
    broken: Annotated[float, typer.Option(help="Share of messages that cannot be used.")] = 0.005,
    retention: Annotated[
        float | None, typer.Option(min=1, help="Minutes after which messages age out; else all are kept, and verified.")
    ] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="Run the job in real-time mode.")] = False,
    length: Annotated[
        int, typer.Option(min=5, help="Seconds of a real-time batch. The end waits for the running one.")
    ] = round(TRIGGER.total_seconds()),
) -> None:
    """Soak and write the results. Exit with 1 unless every series is flat and every offset is accounted for."""
    settings, found, rest = own_pipeline(), None, 0
    rate = rate or (USUAL_IN_REAL_TIME if real_time else USUAL)
    if retention is not None:
        age_out(settings, retention)
    mix = ("--ads", "1000", "--late", str(late), "--duplicates", str(duplicates), "--broken", str(broken))
    with tempfile.TemporaryDirectory(prefix="adstream-soak-") as name, stop_requested() as stopping:
        folder = Path(name)
        checkpoint, log = folder / "checkpoint", folder / "errors.log"
        os.environ["SPARK_LOCAL_DIRS"] = str(folder / "local")
        stream, produce = ["stream", JOB, "--checkpoint", str(checkpoint)], ("produce", "ads", "--rate", str(rate))
        stream += ["--real-time", "--trigger", f"{length}s"] if real_time else []
        with log.open("w", encoding="utf-8") as errors, started(*stream, stderr=errors) as job:
            with started(*produce, *mix, stderr=errors) as producer:
                watched = (
                    WatchedInRealTime(settings, folder, job, producer, length)
                    if real_time
                    else Watched(settings, folder, job, producer)
                )
                times, samples = watch(watched, minutes * 60, stopping)
                ended, machine = watched.ended, page.conditions()  # the seconds of an ended process are lost
            watched.drain(stopping)
        said = " ".join(log.read_text(encoding="utf-8").splitlines()[-1:])
        early = bool(ended) or stopping.is_set()
        if not samples:
            sys.exit(f"error: the job counted nothing: {said}")
        if not early:
            found = verify(checkpoint, partial=retention is not None, seconds=max(600.0, minutes * 120))
            rest = missed(settings, found)
        judged = judge(times, samples)
        for notice in watched.notices:
            print(f"the job said: {notice}", flush=True)
        intro = [load(watched, times, rate, late, duplicates, broken), results.verified(found, rest), machine]
        results.report(place(watched, real_time=real_time), times, samples, judged, found, intro)
        if ended:
            sys.exit(f"error: the {ended} ended by itself: {said}")
    if early:
        sys.exit(130)
    if not (found and found["equal"] and not rest and all(each.flat for each in judged)):
        sys.exit("error: something grows, or is not accounted for: see the table")


def load(watched: Watched, times: list[float], rate: int, late: float, duplicates: float, broken: float) -> str:
    """Describe the load, and the batches."""
    trouble = f"{late:.1%} late, {duplicates:.1%} repeated, {broken:.1%} broken"
    said = f"{times[-1]:.0f} minutes: {rate:,} messages a second, {trouble}."
    if isinstance(watched, WatchedInRealTime):
        return f"{said} {watched.committed()}"
    if not watched.batches:
        return said
    first = watched.batches[0][0]
    batches = [((at - first) / 60, seconds) for at, seconds in watched.batches if (at - first) / 60 <= times[-1]]
    return f"{said} {results.settled(batches)}".rstrip()


def place(watched: Watched, *, real_time: bool) -> results.Place:
    if real_time:
        return results.Place("soak-real-time", "real-time.md", SHOWS_IN_REAL_TIME, watched.panels)
    return results.Place("soak", page.PAGE_NAME, SHOWS, watched.panels)


if __name__ == "__main__":
    command(main)
