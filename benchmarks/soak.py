"""Runs a steady load for half an hour or longer, to see which figures grow: `make soak`.

`python -m benchmarks.soak --minutes 90` runs longer. Runs against the local stack (`adstream up`), with topics and a
keyspace of its own. `adstream produce ads` sends late, repeated and broken messages among the good ones. `adstream
stream ad-metrics` runs with its usual trigger. Every five seconds this process measures both, the services, and the
disk. At the end `adstream verify` accounts for every offset.

A line is fitted through the second half of each series. The series is flat if the line grows by less than its limit, as
a share of that half's mean. Exits with 1 if a series is not flat, or an offset is unexplained. Ctrl-C ends the soak
early, and writes the measurements so far.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import page, plots
from benchmarks.pipeline import JOB, Process, command, own_pipeline, started
from common import kafka
from common.settings import Settings
from common.system.stopping import stop_requested
from stack import state
from streaming.jobs import find

SAMPLE_SECONDS = 5.0
PATIENCE_SECONDS = 300.0
# Minutes that the state needs, after one watermark delay, to evict the first ids.
LEVEL_MINUTES = 4
MIB = 2**20
HEAD = ("series", "mean, second half", "growth over it", "bound", "flat")
BATCH = re.compile(r"batch \d+ · ([\d,]+) events in ([\d.]+) s")

MEMORY, BATCH_TIME, DISK, LAG = "memory, MiB", "time of a batch, s", "disk, MiB", "events not yet counted"
PER_ID, PER_MESSAGE = "checkpoint, bytes for each id that it keeps", "topic, bytes a message"
PROCESSORS = "processors' time, %"
PANELS = (MEMORY, BATCH_TIME, DISK, LAG, PROCESSORS, PER_ID)
# The growth over the second half that still counts as flat, as a share of the mean. Series without a limit are only
# shown.
BOUNDS = {MEMORY: 0.10, BATCH_TIME: 0.25, LAG: 0.25, PER_ID: 0.10, PER_MESSAGE: 0.10}
JVM = "job, JVM"

# One measurement: panel -> series -> value.
Sample = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Judged:
    """The judgement of a series.

    `growth` is the growth of the line through its second half, as a share of that half's `mean`.
    """

    name: str
    mean: float
    growth: float
    bound: float | None

    @property
    def flat(self) -> bool:
        return self.bound is None or self.growth <= self.bound


def growth(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the second half, and the growth of its least-squares line as a share of that mean."""
    begin = (times[0] + times[-1]) / 2
    late, found = zip(*((at, value) for at, value in zip(times, values, strict=True) if at >= begin), strict=True)
    mean = statistics.fmean(found)
    if len(found) < 2 or not mean:
        return mean, 0.0
    return mean, statistics.linear_regression(late, found).slope * (late[-1] - late[0]) / mean


def series(samples: Sequence[Sample], panel: str) -> dict[str, list[float]]:
    names = dict.fromkeys(name for sample in samples for name in sample[panel])
    return {name: [sample[panel].get(name, 0.0) for sample in samples] for name in names}


def judge(minutes: Sequence[float], samples: Sequence[Sample]) -> list[Judged]:
    return [
        Judged(name if name == panel else f"{panel}: {name}", *growth(minutes, values), BOUNDS.get(panel))
        for panel in (*PANELS, PER_MESSAGE)
        for name, values in series(samples, panel).items()
    ]


class Watched:
    """The running job and producer, and all measured processes and folders. Remote services are left out."""

    def __init__(self, settings: Settings, folder: Path, job: Process, producer: Process) -> None:
        self._settings, self._folder, self._job, self._producer = settings, folder, job, producer
        self._before: list[tuple[float, int]] = []
        self.events = 0
        self.seconds = 0.0
        self.batches: list[tuple[float, float]] = []
        psutil.cpu_times_percent()  # each call returns the shares since the previous call
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._job.stdout or ():
            if found := BATCH.match(line):
                self.seconds = float(found[2])
                self.batches.append((time.monotonic(), self.seconds))
                self.events += int(found[1].replace(",", ""))

    @property
    def ended(self) -> str:
        """The name of the process that has ended by itself; empty while both run."""
        both = {"job": self._job, "producer": self._producer}
        return next((name for name, process in both.items() if process.poll() is not None), "")

    @property
    def sent(self) -> int:
        return sum(kafka.end_offsets(self._settings, self._settings.topic.ads).values())

    def look(self) -> Sample:
        topic, data, sent = self._settings.topic.ads, self._settings.data_dir.absolute(), self.sent
        kept = sent - sum(kafka.begin_offsets(self._settings, topic).values())
        disk = {
            "checkpoint": size(self._folder / "checkpoint"),
            "RocksDB's working files": size(self._folder / "local"),
            "topic": sum(size(each) for each in (data / "kafka" / "logs").glob(f"{topic}-*")),
            "Cassandra": size(data / "cassandra"),
        }
        shares = psutil.cpu_times_percent()
        taken = getattr(shares, "steal", 0.0)
        here = 100.0 - shares.idle - getattr(shares, "iowait", 0.0) - taken
        return {
            MEMORY: {name: used / MIB for name, used in self._memory(data).items()},
            BATCH_TIME: {BATCH_TIME: self.seconds},
            DISK: {name: used / MIB for name, used in disk.items()},
            LAG: {LAG: sent - self.events},
            PROCESSORS: {"here": here, "others on the host": taken},
            PER_ID: {PER_ID: disk["checkpoint"] / max(1, self._ids())},
            PER_MESSAGE: {PER_MESSAGE: disk["topic"] / max(1, kept)},
        }

    def _memory(self, data: Path) -> dict[str, int]:
        pids = [("job, Python", self._job.pid), ("producer", self._producer.pid)]
        pids += [(name, entry.pid) for name, entry in state.read(data).services.items()]
        with suppress(psutil.Error):
            children = psutil.Process(self._job.pid).children(recursive=True)
            pids += [(JVM if child.name() == "java" else "job, Python workers", child.pid) for child in children]
        found: dict[str, int] = {}
        for name, pid in pids:
            with suppress(psutil.Error):
                found[name] = found.get(name, 0) + psutil.Process(pid).memory_info().rss
        return found

    def _ids(self) -> int:
        """Return the number of events in the last watermark delay: the state keeps an id for that long."""
        now, watermark = time.monotonic(), find(JOB).watermark
        self._before.append((now, self.events))
        keeps = watermark.total_seconds() if watermark else 0.0
        return self.events - max((events for at, events in self._before if at < now - keeps), default=0)


def settled(batches: Sequence[tuple[float, float]]) -> str:
    """Describe the durations of the batches after the number of ids has levelled off.

    `batches` has pairs of minute and seconds.
    """
    watermark = find(JOB).watermark or timedelta(0)
    begin = watermark / timedelta(minutes=1) + LEVEL_MINUTES
    late = [seconds for minute, seconds in batches if minute >= begin]
    if not late:
        return ""
    return f"{len(late)} batches from minute {begin:.0f} on, when ids have levelled off, in s: {page.spread(late)}."


def size(folder: Path) -> int:
    """Return the bytes on disk of all files below. Files that disappear meanwhile do not count."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found += Path(where, name).lstat().st_blocks * 512
    return found


def age_out(settings: Settings, minutes: float) -> None:
    """Set the topic's retention to these minutes. The broker checks every five minutes."""
    times = {"retention.ms": int(minutes * 60_000), "segment.ms": 60_000}
    wanted = [ConfigEntry(key, str(value), incremental_operation=AlterConfigOpType.SET) for key, value in times.items()]
    resource = ConfigResource(ResourceType.TOPIC, settings.topic.ads, incremental_configs=wanted)
    admin = AdminClient(kafka.client_config(settings.kafka))
    admin.incremental_alter_configs([resource])[resource].result(timeout=settings.kafka.timeout_seconds)


def watch(watched: Watched, seconds: float, stopping: threading.Event) -> tuple[list[float], list[Sample]]:
    """Measure every five seconds until the time is over, a stop is requested, or a process ends by itself.

    The first measurement follows the first batch. Returns the minutes and the measurements.
    """
    minutes: list[float] = []
    samples: list[Sample] = []
    console = Console(highlight=False, soft_wrap=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("waiting for the first batch", total=seconds)
        until = time.monotonic() + PATIENCE_SECONDS
        while not (watched.events or watched.ended or time.monotonic() > until or stopping.wait(0.5)):
            pass
        began, spent = time.monotonic(), 0.0
        while watched.events and spent < seconds and not watched.ended and not stopping.is_set():
            samples.append(watched.look())
            minutes.append(spent / 60)
            said = f"{watched.events:,} counted, {samples[-1][LAG][LAG]:,.0f} to come, batch {watched.seconds:.1f} s"
            said += f", JVM {samples[-1][MEMORY].get(JVM, 0.0):,.0f} MiB"
            bar.update(task, completed=spent, description=said)
            if not console.is_terminal and len(samples) % 12 == 1:
                console.print(f"minute {spent / 60:.0f}: {said}")
            stopping.wait(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - spent)))
            spent = time.monotonic() - began
    return minutes, samples


def drain(watched: Watched, stopping: threading.Event) -> None:
    """Wait until the job has counted all messages."""
    until, sent = time.monotonic() + PATIENCE_SECONDS, watched.sent
    while watched.events < sent and watched.ended != "job" and time.monotonic() < until and not stopping.wait(0.5):
        pass


def verify(checkpoint: Path, *, partial: bool, seconds: float) -> dict[str, Any]:
    """Run `adstream verify` and return its result.

    With `partial`, it compares only the windows whose messages remain.
    """
    asked = [sys.executable, "-m", "adstream.cli", "verify", JOB, "--checkpoint", str(checkpoint), "--json"]
    asked += ["--partial"] if partial else []
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, timeout=seconds, check=False)
    return dict(json.loads(done.stdout)) if done.stdout else {"equal": False}


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="From the first batch on.")] = 30.0,
    rate: Annotated[int, typer.Option(min=1, help="Messages a second.")] = 5_000,
    late: Annotated[float, typer.Option(help="Share of events 11 to 30 minutes late.")] = 0.01,
    duplicates: Annotated[float, typer.Option(help="Share of events sent again.")] = 0.02,
    broken: Annotated[float, typer.Option(help="Share of messages that cannot be used.")] = 0.005,
    retention: Annotated[
        float | None, typer.Option(min=1, help="Minutes after which messages age out; else all are kept, and verified.")
    ] = None,
) -> None:
    """Soak and write the results. Exit with 1 unless every series is flat and every offset is accounted for."""
    settings, found = own_pipeline(), None
    if retention is not None:
        age_out(settings, retention)
    mix = ("--ads", "1000", "--late", str(late), "--duplicates", str(duplicates), "--broken", str(broken))
    with tempfile.TemporaryDirectory(prefix="adstream-soak-") as name, stop_requested() as stopping:
        folder = Path(name)
        checkpoint, log = folder / "checkpoint", folder / "errors.log"
        os.environ["SPARK_LOCAL_DIRS"] = str(folder / "local")
        stream, produce = ("stream", JOB, "--checkpoint", str(checkpoint)), ("produce", "ads", "--rate", str(rate))
        with log.open("w", encoding="utf-8") as errors, started(*stream, stderr=errors) as job:
            with started(*produce, *mix, stderr=errors) as producer:
                watched = Watched(settings, folder, job, producer)
                times, samples = watch(watched, minutes * 60, stopping)
                ended, machine = watched.ended, page.conditions()  # the seconds of an ended process are lost
            drain(watched, stopping)
        said = " ".join(log.read_text(encoding="utf-8").splitlines()[-1:])
        early = bool(ended) or stopping.is_set()
        if not samples:
            sys.exit(f"error: the job counted nothing: {said}")
        if not early:
            found = verify(checkpoint, partial=retention is not None, seconds=max(600.0, minutes * 120))
        judged = judge(times, samples)
        first = watched.batches[0][0]
        batches = [((at - first) / 60, seconds) for at, seconds in watched.batches if (at - first) / 60 <= times[-1]]
        trouble = f"{late:.1%} late, {duplicates:.1%} repeated, {broken:.1%} broken"
        load = f"{times[-1]:.0f} minutes: {rate:,} messages a second, {trouble}. {settled(batches)}".rstrip()
        report(times, samples, judged, found, load, machine)
        if ended:
            sys.exit(f"error: the {ended} ended by itself: {said}")
    if early:
        sys.exit(130)
    if not (found and found["equal"] and all(each.flat for each in judged)):
        sys.exit("error: something grows, or is not accounted for: see the table")


def report(
    times: Sequence[float],
    samples: Sequence[Sample],
    judged: Sequence[Judged],
    found: dict[str, Any] | None,
    load: str,
    machine: str,
) -> None:
    lines = []
    for each in judged:
        bound, flat = ("-", "-") if each.bound is None else (f"{each.bound:.0%}", "yes" if each.flat else "no")
        lines.append((each.name, f"{each.mean:,.1f}", f"{each.growth:+.1%}", bound, flat))
    said = "Not verified: it ended early." if found is None else "`adstream verify` failed."
    if found and "ledger" in found:
        fates = ", ".join(f"{count:,} {fate}" for fate, count in found["ledger"]["fates"].items())
        said = f"`adstream verify`, {found['ledger']['offsets']:,} offsets: {fates}, {found['ledger']['unexplained']:,}"
        said += f" unexplained; {found['cells']:,} cells, {found['rows_different']:,} rows differ."
        said += f" Not proved: {found['not_proved']}." if found["not_proved"] else ""

    def draw(figure: Figure) -> None:
        for axes, panel in zip(figure.subplots(3, 2, sharex=True).flat, PANELS, strict=True):
            for (name, values), colour in zip(series(samples, panel).items(), plots.COLOURS, strict=False):
                axes.plot(times, values, color=colour, label=name, linewidth=1.2)
            axes.set_title(panel, fontsize="medium")
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(plots.PLAIN)
            plots.tidy(axes, "y")
            if panel in (MEMORY, DISK, PROCESSORS):
                axes.legend(fontsize="x-small", frameon=False, ncols=2)
        for axes in figure.axes[-2:]:
            axes.set_xlabel("minutes")

    shown = page.plot("soak", "Memory, time of a batch, disk, lag and processors over the soak", draw, height=8.0)
    runs = {"minutes": times, "samples": samples, "verified": found}
    page.write("soak", [load, said, machine], HEAD, lines, picture=shown, runs=runs)


if __name__ == "__main__":
    command(main)
