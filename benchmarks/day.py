"""Replays a day of event time in an hour, with all that a day brings: `make day`.

The day has an idle night, a burst of ten times the usual rate, late, repeated and broken messages, and a second version
of the schema in its middle. The job is stopped by SIGTERM, and goes on with the new code on the same checkpoint.
`--before FOLDER` names a checkout of an older build, with its `.venv`, which runs until then. The clocks of Europe
change on the day, and all processes run with TZ=Europe/Berlin.

Runs against the local stack (`adstream up`), with topics and a keyspace of its own. Exits with 1 and one line unless
each planned window is in the table once, with the sums of the events that were sent, and `adstream verify` explains
every offset. `--minutes 6` replays the day faster.
"""

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console

from adstream.verify.offsets import JobCheckpoint
from benchmarks import page
from benchmarks.days import book, results
from benchmarks.days.job import Build, Job, job_of
from benchmarks.days.plan import DEPLOY_MINUTE, HOUR_MS, MINUTE_MS, Plan, clock_change, moment, planned
from benchmarks.days.sender import Sender
from benchmarks.days.table import read_windows
from benchmarks.freshness.contestants import described
from benchmarks.pipeline import JOB, command, configure, own_topics
from common import kafka
from common.errors import ConfigError, JobFailed, Mismatch
from common.kafka import create_topics, topic_spec
from common.settings import Settings
from common.system.stopping import stop_requested
from common.text.moments import iso_date
from producer.traffic import Mix

DATES = ("2026-10-25",)
MIX = Mix(keys=100, late=0.01, duplicates=0.02, broken=0.005)
LOOK_SECONDS = 1.0
DRAIN_SECONDS = 300.0
VERIFY_SECONDS = 1_800.0
# The table drops a window so many days after its write; verify leaves out windows that begin earlier.
KEPT_DAYS = 30


@dataclass
class Replay:
    """One day while it runs."""

    settings: Settings
    plan: Plan
    zone: ZoneInfo
    job: Job
    sender: Sender
    stopping: threading.Event
    waited: list[results.Waited] = field(default_factory=list)
    stopped: float = 0.0
    started: float = 0.0

    def run(self, old: Build, new: Build) -> None:
        """Send the day while the job runs, deploy in its middle, and let the job count all."""
        self.sender.prepare()
        self.job.run(old, "migrate")
        self.say(f"the job is ready after {self.job.begin(old):.0f} s")
        with ThreadPoolExecutor(2) as beside:
            sent = beside.submit(self.sender.run)
            try:
                self._until(self.plan.begin + DEPLOY_MINUTE * MINUTE_MS, sent)
                if not self.stopping.is_set():
                    deployed = beside.submit(self._deploy, new)
                    self._until(self.plan.end, sent, deployed)
                    deployed.result()
                sent.result()
            except BaseException:
                self.stopping.set()
                raise
        self.drain()
        self.job.end()

    def drain(self) -> None:
        """Wait until the job has committed all messages. Raises JobFailed."""
        until = time.monotonic() + DRAIN_SECONDS
        while (rest := self.rest()) and not self.stopping.is_set():
            self.job.check()
            if time.monotonic() > until:
                raise JobFailed(f"{rest:,} messages were not counted {DRAIN_SECONDS:.0f} s after the day")
            time.sleep(0.5)

    def rest(self) -> int:
        """Return how many messages of the topic are behind the last committed batch."""
        committed = JobCheckpoint(self.job.checkpoint).committed().ends
        ends = kafka.end_offsets(self.settings, self.settings.topic.ads)
        return sum(end - committed.get(partition, 0) for partition, end in ends.items())

    def say(self, text: str) -> None:
        """Print a line with the day's time."""
        at = moment(self.sender.now)
        local = at.astimezone(self.zone)
        Console(highlight=False, soft_wrap=True).print(f"{at:%Y-%m-%d %H:%M} UTC, {local:%H:%M} there: {text}")

    def _until(self, end: int, sent: "Future[None]", deployed: "Future[None] | None" = None) -> None:
        """Wait until the day's clock reaches `end` or the sender has ended. Print a line each hour of the day.

        Raises the error of the sender, of the deploy, or of a job that ends by itself.
        """
        hour = self.sender.now // HOUR_MS
        while self.sender.now < end and not sent.done() and not self.stopping.is_set():
            if deployed is not None and deployed.done():
                deployed.result()
            if deployed is None or deployed.done():
                self.job.check()
            waiting = max(0, self.sender.sent - self.job.events)
            self.waited.append(results.Waited(self.sender.now, waiting))
            if self.sender.now // HOUR_MS > hour:
                hour = self.sender.now // HOUR_MS
                part = self.plan.part((self.sender.now - self.plan.begin) // MINUTE_MS % (24 * 60)).name
                versions = f"schema version {self.sender.versions[-1]}"
                self.say(f"{part}, {self.sender.sent:,} sent, {waiting:,} not counted yet, {versions}")
            self.stopping.wait(LOOK_SECONDS)
        if sent.done():
            sent.result()  # raises the sender's error

    def _deploy(self, new: Build) -> None:
        self.say("deploy: SIGTERM to the job")
        self.stopped = self.job.end()
        self.job.run(new, "migrate")
        self.started = self.job.begin(new)
        self.say(f"deploy: it ended after {self.stopped:.0f} s, and the new one was ready after {self.started:.0f} s")


def main(
    minutes: Annotated[float, typer.Option(min=1, help="Minutes in which the day is replayed.")] = 60.0,
    rate: Annotated[int, typer.Option(min=1, help="Messages a second, in the usual part of the day.")] = 500,
    day: Annotated[
        list[str], typer.Option("--date", help="The day, which must be over; may be repeated: one after the other.")
    ] = list(DATES),  # noqa: B006
    zone: Annotated[str, typer.Option(help="The time zone of all processes.")] = "Europe/Berlin",
    before: Annotated[
        Path | None, typer.Option(help="Checkout of an older build, with a .venv: it runs until the deploy.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the events. Default: a random one, which is printed.")
    ] = None,
) -> None:
    """Replay the days and write the results. Exit with 1 and a line unless everything is as planned."""
    there = in_zone(zone)
    plans = [planned(date_of(each), rate, minutes, datetime.now(UTC)) for each in day]
    builds = f"{described(before)} until the deploy" if before else "the same code before and after the deploy"
    seed = secrets.randbits(32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    trouble = f"{MIX.late:.1%} late, {MIX.duplicates:.1%} repeated, {MIX.broken:.1%} broken"
    load = f"{rate:,} messages a second in the usual part, {trouble}, seed {seed}."
    with stop_requested() as stopping:
        for plan in plans:
            done = replayed(plan, there, minutes, seed, load, Build(before), builds, stopping)
            results.write(done)
            if done.wrong:
                raise Mismatch(f"{plan.date}: {'; '.join(done.wrong)}", "see docs/guarantees.md, a day in small")


def replayed(
    plan: Plan,
    zone: ZoneInfo,
    minutes: float,
    seed: int,
    load: str,
    old: Build,
    builds: str,
    stopping: threading.Event,
) -> results.Day:
    """Replay one day, and check it. Exits with 130 after Ctrl-C."""
    settings = pipeline_of(plan)
    sender = Sender(settings, plan, seed, MIX, minutes * 60, stopping)
    with folder_of_the_day() as folder, job_of(settings, folder) as job:
        replay = Replay(settings, plan, zone, job, sender, stopping)
        replay.run(old, Build())
        if stopping.is_set():
            sys.exit(130)
        arguments = ("verify", JOB, "--checkpoint", str(job.checkpoint), "--json")
        verified = json.loads(job.run(Build(), *arguments, seconds=VERIFY_SECONDS, codes=(0, 1)) or "{}")
    found = read_windows(settings)
    wrong = [*book.problems(plan, sender.book.windows, found), *unverified(verified, sender.book.fates), *job.alarms]
    if sender.versions != [1, 2]:
        wrong.append(f"the registry has the versions {sender.versions}, must be 1 and 2")
    return results.Day(
        plan, zone.key, clock_change(plan.date, zone), minutes, load, builds, replay.stopped, replay.started,
        book.hours(plan, sender.book.windows, found), verified, replay.waited, wrong, page.conditions(),
    )  # fmt: skip


@contextmanager
def folder_of_the_day() -> Iterator[Path]:
    """Yield a folder for the job's checkpoint and files, and remove it after the block."""
    with tempfile.TemporaryDirectory(prefix="adstream-day-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def unverified(verified: dict[str, Any], sent: dict[str, int]) -> list[str]:
    """Return a line for everything that `adstream verify` finds, or that it counts otherwise than the sender."""
    if "ledger" not in verified:
        return ["`adstream verify` failed"]
    return [*verified["problems"], *book.fates_that_differ(sent, verified["ledger"]["fates"])]


def pipeline_of(plan: Plan) -> Settings:
    """Make topics for a day; the keyspace gets its name only.

    The times of messages are those of the day's clock. So the topic has CreateTime, and no retention, which goes by
    these times. Its first schema is version 1.
    """
    days = (datetime.now(UTC).date() - plan.date).days + KEPT_DAYS
    os.environ["ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS"] = str(days)
    topic = f"{own_topics().topic.ads}.day"
    os.environ["ADSTREAM_TOPIC_ADS"] = topic
    settings = Settings()
    create_topics(settings, [topic_spec(settings, topic)])
    configure(settings, topic, {"message.timestamp.type": "CreateTime", "retention.ms": -1})
    return settings


def in_zone(name: str) -> ZoneInfo:
    """Set the time zone of this process and its children. Raises ConfigError if the machine does not know it."""
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"there is no time zone {name}", "give one like Europe/Berlin") from None
    os.environ["TZ"] = name
    time.tzset()
    for month in (1, 7):
        there = datetime(2026, month, 1, tzinfo=zone)
        if timedelta(seconds=time.localtime(there.timestamp()).tm_gmtoff) != there.utcoffset():
            raise ConfigError(f"the C library does not know the time zone {name}", "install tzdata")
    return zone


def date_of(text: str) -> date:
    """Return the day. Raises ConfigError for anything but a date like 2026-10-25."""
    try:
        return iso_date(text)
    except (ValueError, ConfigError):
        raise ConfigError(f"--date {text} is not a day", "give one like 2026-10-25") from None


if __name__ == "__main__":
    command(main)
