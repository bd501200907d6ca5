"""The programs of the tour: commands that run to their end, and one job in the background."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adstream.verify.offsets import JobCheckpoint
from common.errors import CheckpointError, JobFailed
from common.kafka import end_offsets
from common.settings import Settings
from common.system.children import python_module

TAKEN_SECONDS = 300.0
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.2
_LINE_SECONDS = 10.0
_INDENT = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """A finished command: its exit code, and its output."""

    code: int
    output: str


def run_command(arguments: Sequence[str], say: Say, *, at_once: bool) -> Done:
    """Run `adstream` with these arguments; `say` gets each line, `at_once` or at the end."""
    lines = []
    with _started(arguments) as running:
        try:
            for line in running.stdout or ():
                lines.append(line)
                if at_once:
                    say(line.rstrip("\n"))
        except BaseException:
            # The child has received the Ctrl-C itself, but not other signals that end the tour.
            running.terminate()
            raise
    if not at_once:
        for line in lines:
            say(line.rstrip("\n"))
    return Done(running.returncode, "".join(lines))


class RunningJob:
    """A streaming job in the background of the tour; `say` gets its lines as they come.

    The terminal's Ctrl-C does not reach the job: the tour ends it.
    """

    def __init__(self, arguments: Sequence[str], say: Say) -> None:
        self._process = _started(arguments, process_group=0)
        self._say = say
        self._heard = threading.Condition()
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_taken(self, settings: Settings, topic: str, checkpoint: Path) -> None:
        """Wait until a committed batch reaches the end of the topic, and the job has reported it. Raises JobFailed."""
        ends = end_offsets(settings, topic)
        deadline = time.monotonic() + TAKEN_SECONDS
        while True:
            try:
                batch = JobCheckpoint(checkpoint).committed()
            except CheckpointError:
                batch = None  # not yet
            if batch is not None and all(batch.ends.get(each, 0) >= end for each, end in ends.items()):
                break
            if self._ended.wait(_POLL_SECONDS):
                raise JobFailed("the job has ended", "its own lines above say why; the tour ends here")
            if time.monotonic() > deadline:
                raise JobFailed(
                    f"the job has not come to the end of {topic} in {TAKEN_SECONDS:.0f} s", "its lines above say why"
                )
        # The job prints a batch's line a moment after the commit. A kill right after the commit leaves no line.
        with self._heard:
            said = f"batch {batch.number} "
            self._heard.wait_for(lambda: any(each.startswith(said) for each in self._lines), _LINE_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL, and return when the job is gone."""
        self._process.kill()
        self._process.wait()
        self._reader.join(_LINE_SECONDS)

    def stop(self) -> None:
        """Let the job end its batch. Kills it if that takes long."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(_LINE_SECONDS)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._say(line.rstrip("\n"))
            with self._heard:
                self._lines.append(line)
                self._heard.notify_all()
        self._ended.set()


def _started(arguments: Sequence[str], process_group: int | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        python_module("adstream.cli", *arguments),
        env={**os.environ, "COLUMNS": str(shutil.get_terminal_size().columns - _INDENT), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=process_group,
    )
