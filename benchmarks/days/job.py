"""The job of a day: it is stopped in the middle of it, and goes on with the new code on the same checkpoint."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.freshness.contestants import UPDATES
from benchmarks.pipeline import ADDRESS, JOB, STOP_SECONDS, Process
from common.errors import JobFailed
from common.settings import Settings
from stack.host.last_words import last_words

READY_SECONDS = 300.0
ROOT = Path(__file__).parents[2]
BATCH = re.compile(r"batch \d+ · ([\d,]+) events")


@dataclass(frozen=True)
class Build:
    """A checkout of the code, with its `.venv`; None is this one."""

    root: Path | None = None

    @property
    def command(self) -> list[str]:
        python = sys.executable if self.root is None else str(self.root.absolute() / ".venv" / "bin" / "python")
        return [python, "-m", "adstream.cli"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a command of this build. Older builds refuse a setting that they do not know."""
        inherited = {name: value for name, value in os.environ.items() if name != UPDATES}
        return inherited | {"PYTHONPATH": str(ROOT if self.root is None else self.root.absolute())}


@dataclass
class Job:
    """`adstream stream ad-metrics` on one checkpoint, by one build after the other.

    `events` counts the messages of all committed batches. `alarms` has the lines of batches with an ALARM.
    """

    settings: Settings
    folder: Path
    events: int = 0
    alarms: list[str] = field(default_factory=list)
    new_schemas: int = 0
    _process: Process | None = None
    _listener: threading.Thread | None = None
    _url: str = ""

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    def run(self, build: Build, *arguments: str, seconds: float = STOP_SECONDS, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command of this build to its end, and return its output.

        Raises JobFailed for an exit code that is not among `codes`.
        """
        with self._log.open("ab") as log:
            done = subprocess.run(
                [*build.command, *arguments],
                env=self._environment(build),
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                timeout=seconds,
                check=False,
            )
        if done.returncode not in codes:
            raise JobFailed(f"`adstream {arguments[0]}` failed: {self._last()}")
        return done.stdout

    def begin(self, build: Build) -> float:
        """Start the job, and return the seconds until it waits for messages or has committed a batch.

        Raises JobFailed.
        """
        began = time.monotonic()
        self._url = ""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*build.command, "stream", JOB, "--checkpoint", str(self.checkpoint)],
                env=self._environment(build),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        while not self._ready():
            self.check()
            if time.monotonic() > began + READY_SECONDS:
                raise JobFailed(f"the job was not ready in {READY_SECONDS:.0f} s: {self._last()}")
            time.sleep(0.2)
        return time.monotonic() - began

    def check(self) -> None:
        """Raise JobFailed if the job has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise JobFailed(f"the job ended by itself with code {code}: {self._last()}")

    def end(self) -> float:
        """Stop the job by SIGTERM, and return the seconds until its end. Raises JobFailed unless it exits with 0."""
        self.check()
        began, process = time.monotonic(), self._process
        if process is None:
            return 0.0
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise JobFailed(f"the job did not end within {STOP_SECONDS:.0f} s of SIGTERM") from None
        if self._listener is not None:
            self._listener.join(STOP_SECONDS)
        self._process = None
        if code:
            raise JobFailed(f"the job ended with code {code} after SIGTERM: {self._last()}")
        return time.monotonic() - began

    def kill(self) -> None:
        """End the job at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _log(self) -> Path:
        return self.folder / "errors.log"

    def _environment(self, build: Build) -> dict[str, str]:
        data = str(self.settings.data_dir.absolute())
        return build.environment | {"ADSTREAM_DATA_DIR": data, "SPARK_LOCAL_DIRS": str(self.folder / "local")}

    def _listen(self, process: Process) -> None:
        for line in process.stdout or ():
            if found := BATCH.match(line):
                self.events += int(found[1].replace(",", ""))
                self.alarms += [line.strip()] if "ALARM" in line else []
            elif address := ADDRESS.search(line):
                self._url = address[1]
            elif "new schema version" in line:
                self.new_schemas += 1

    def _ready(self) -> bool:
        if self._url:
            with suppress(OSError), urllib.request.urlopen(f"{self._url}/ready", timeout=5):  # noqa: S310 - our own job
                return True
        return False

    def _last(self) -> str:
        return last_words(self._log)


@contextmanager
def job_of(settings: Settings, folder: Path) -> Iterator[Job]:
    """Yield a job, and end it with the block."""
    job = Job(settings, folder)
    try:
        yield job
    finally:
        job.kill()
