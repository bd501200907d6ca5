"""The contestants. Each starts its own processes and reads a topic of its own.

At the end of its block the processes are killed, not stopped: nobody needs the checkpoint and the rows any more.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient

from benchmarks.freshness.usage import APPLYING, CASSANDRA, JOB, KAFKA, Groups, family, split
from benchmarks.peers import flink_updates
from benchmarks.pipeline import JOB as NAME
from common import kafka
from common.errors import ConfigError
from common.kafka import create_topics
from common.provision import ADS_CONTRACT, UPDATES_CONTRACT, prepare_topic, updates_spec
from common.settings import Settings
from common.text.durations import duration_text
from stack import state
from streaming.real_time.suits import TRIGGER

UPDATES = "ADSTREAM_TOPIC_UPDATES"
REAL_TIME = "ad-metrics --real-time"
NOW, BEFORE = "micro-batches", "micro-batches, before"
FLINK = "Flink SQL, checkpoints every {}"
FLINK_CHECKPOINTS = ("3 s", "5 min")


@dataclass(frozen=True)
class Place:
    """The place of one run: its topic, its updates topic, and a folder for its checkpoint and log.

    `environment` holds variables for the run's processes. `length` is the length of a real-time batch.
    """

    settings: Settings
    folder: Path
    length: str = duration_text(TRIGGER)
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        return self.settings.topic.ads

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def said(self) -> str:
        """Return the last line of the log."""
        with suppress(OSError):
            if lines := self.log.read_text(encoding="utf-8", errors="replace").split("\n"):
                return next((line for line in reversed(lines) if line.strip()), "")
        return "it said nothing"


@dataclass(frozen=True)
class Started:
    """A running contestant.

    Once its process has ended, `alive` raises AssertionError with the process's last output.
    """

    groups: Callable[[], dict[str, list[psutil.Process]]]
    alive: Callable[[], None]
    pid: int

    def measured(self, services: Groups) -> Groups:
        return {**self.groups(), **services}


Start = Callable[[Place], AbstractContextManager[Started]]


@dataclass(frozen=True)
class Contestant:
    """A name, and the function that starts the contestant."""

    name: str
    start: Start = field(repr=False)


def contestants(before: Path | None) -> tuple[Contestant, ...]:
    """Return all contestants in order. With `before`, the older build comes first."""
    older = (Contestant(BEFORE, lambda place: micro_batches(place, before)),) if before else ()
    flinks = tuple(Contestant(FLINK.format(each), _flink(each)) for each in FLINK_CHECKPOINTS)
    return (*older, Contestant(NOW, micro_batches), Contestant(REAL_TIME, real_time), *flinks)


def described(build: Path) -> str:
    """Return the build's commit, or else its folder name.

    Raises ConfigError if the build has no environment of its own.
    """
    if not (build / ".venv" / "bin" / "python").exists():
        raise ConfigError(f"{build} has no .venv", "give the folder of a checkout with its environment installed")
    asked = ["git", "-C", str(build), "log", "-1", "--format=commit %h of %cs"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or build.name


def micro_batches(place: Place, build: Path | None = None) -> AbstractContextManager[Started]:
    """Start `adstream stream ad-metrics` with trigger 0. For another build, use that build's Python."""
    return _started(place, ["stream", NAME, "--trigger", "0", *_kept(place)], build)


def real_time(place: Place) -> AbstractContextManager[Started]:
    """Start `adstream stream ad-metrics --real-time`. The job starts its applying process."""
    return _started(place, ["stream", NAME, "--real-time", "--trigger", place.length, *_kept(place)])


def _flink(checkpoints: str) -> Start:
    @contextmanager
    def start(place: Place) -> Iterator[Started]:
        updates = place.settings.topic.updates
        with (
            _started(place, ["apply", NAME, "--log-format", "json", "--metrics-port", "off"]) as applying,
            flink_updates.running(place.settings, place.topic, updates, checkpoints) as jvm,
        ):

            def alive() -> None:
                applying.alive()
                if not psutil.pid_exists(jvm):
                    raise AssertionError("Flink has ended: see flink.log")

            yield Started(lambda: {JOB: family(jvm), APPLYING: family(applying.pid)}, alive, jvm)

    return start


def services(settings: Settings) -> dict[str, list[psutil.Process]]:
    """Return the processes of Kafka and Cassandra, as far as the local stack runs them."""
    found = {}
    for name, service in state.read(settings.data_dir).services.items():
        for title in (KAFKA, CASSANDRA):
            if name == title.lower() and (process := service.running.process()):
                found[title] = [process]
    return found


@contextmanager
def place_for(settings: Settings) -> Iterator[Place]:
    """Make new topics and a new folder; remove both at the end.

    Processes that start within the block find the topics.
    """
    ads = f"{settings.topic.ads}.{secrets.token_hex(3)}"
    updates = f"{ads}.updates"
    os.environ |= {"ADSTREAM_TOPIC_ADS": ads, UPDATES: updates}
    own = Settings()
    create_topics(own, [updates_spec(own, updates)])
    for topic, contract in ((ads, ADS_CONTRACT), (updates, UPDATES_CONTRACT)):
        prepare_topic(own, topic, contract)
    with tempfile.TemporaryDirectory(prefix="adstream-latency-", ignore_cleanup_errors=True) as folder:
        try:
            yield Place(own, Path(folder))
        finally:
            _delete(own, [ads, updates])


def _delete(settings: Settings, topics: list[str]) -> None:
    """Delete the topics: minutes of messages are gigabytes."""
    admin = AdminClient(kafka.client_config(settings.kafka))
    deleted = admin.delete_topics(topics)
    for topic in topics:
        deleted[topic].result(timeout=settings.kafka.timeout_seconds)


def lasting(place: Place, length: str) -> Place:
    """Return the same place with another length of a real-time batch."""
    return replace(place, length=length)


def _kept(place: Place) -> list[str]:
    return ["--checkpoint", str(place.folder / "checkpoint"), "--log-format", "json", *place.options]


@contextmanager
def _started(place: Place, arguments: list[str], build: Path | None = None) -> Iterator[Started]:
    python = sys.executable if build is None else str(build.absolute() / ".venv" / "bin" / "python")
    root = Path(__file__).parents[2] if build is None else build.absolute()
    data = {"ADSTREAM_DATA_DIR": str(place.settings.data_dir.absolute()), "PYTHONPATH": str(root)}
    # A build from before real time refuses a setting that it does not know.
    inherited = {name: value for name, value in os.environ.items() if build is None or name != UPDATES}
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", "adstream.cli", *arguments],
            cwd=place.folder,  # Python searches the working folder for modules before PYTHONPATH
            env={**inherited, **data, **place.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def alive() -> None:
        if (code := process.poll()) is not None:
            raise AssertionError(f"`adstream {arguments[0]}` has ended with code {code}: {place.said()}")

    try:
        yield Started(lambda: split(family(process.pid)), alive, process.pid)
    finally:
        kill(process.pid)
        process.wait()


def kill(pid: int) -> None:
    """Kill the process and all its children at once, like `kill -9`."""
    processes = family(pid)
    for each in processes:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(processes, timeout=60)
