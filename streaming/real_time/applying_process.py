"""The applying process of a job (`adstream apply`) as a child: start, listen, restart, and stop."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import BadInput, JobFailed, SchemaIncompatible, SchemaNotFound, Unproved
from common.system.children import python_module

# The process ends by itself after minutes without a service. After this many ends in a row without an applied row, the
# runner gives up.
ATTEMPTS = 5
# No process waits this long for a service. One that lived for longer has worked, even if no rows came.
LONG_SECONDS = 900.0
_FIRST_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 30.0
# Errors whose remedy may be to leave a message out.
_SKIPPED = {kind.__name__ for kind in (BadInput, SchemaIncompatible, SchemaNotFound)}

Figures = Mapping[str, Any]


class ApplyingProcess:
    """The applying process, a child. A thread passes each of its reports, as parsed JSON, to `told`.

    `member` is its name in the consumer group. A process restarted under the same name goes on at once. Under another
    name the group would first wait for the end of a session.
    """

    def __init__(
        self,
        job: str,
        *,
        member: str,
        told: Callable[[Figures], None],
        notice: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job, self._member, self._told, self._notice, self._clock = job, member, told, notice, clock
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._failures = 0
        self._not_before = 0.0
        # Of the running or the last process: its start, its last words, the kind of the error that ended it, and
        # whether it has written a row.
        self._began = 0.0
        self._said, self._error = "", ""
        self._applied = False

    def start(self) -> None:
        """Start the process. A Ctrl-C at the terminal does not reach it, because it must still apply the query's rows.

        The child ends when its input ends. So it never outlives this process.
        """
        self._began, self._said, self._error, self._applied = self._clock(), "", "", False
        command = python_module("adstream.cli", "apply", self._job, "--until-input-ends")
        command += ["--member", self._member, "--log-format", "json", "--metrics-port", "off"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="applying process", daemon=True)
        self._reader.start()

    def watch(self) -> None:
        """Restart the process if it has ended, after a pause. Raises JobFailed if restarts do not help."""
        process = self._process
        if process is not None and process.poll() is not None:
            self._ended(process)
        if self._process is None and self._clock() >= self._not_before:
            self.start()

    def stop(self) -> None:
        """Close the process's input: it applies all rows that the topic holds then, and ends.

        After 30 s this kills the process. Rows that it has not applied wait in the topic for the job's next start.
        """
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        self._process = None

    def kill(self) -> None:
        """End the process at once. Rows that it has not applied wait in the topic."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _ended(self, process: "subprocess.Popen[str]") -> None:
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        worked = self._applied or self._clock() - self._began >= LONG_SECONDS
        self._failures = 1 if worked else self._failures + 1
        why = self._said or f"it said nothing, and its exit code is {process.returncode}"
        if self._failures >= ATTEMPTS:
            raise JobFailed(
                f"the applying process of {self._job} ended {self._failures} times in a row: {why}",
                _remedy(self._error, self._job),
            )
        pause = _FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1)
        self._not_before = self._clock() + pause
        self._notice(
            f"the applying process ended with code {process.returncode} ({why}); starting it again in {pause:.0f} s"
        )

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # noqa: S101 - for the type checker: a pipe was asked for
        with process.stdout:
            for line in process.stdout:
                self._hear(line.strip())

    def _hear(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._said = line.removeprefix("error: ") or self._said
            return
        if found.get("level") != "info":
            self._said = str(found.get("message") or self._said)
        self._error = str(found.get("error") or "")
        if found.get("rows_written"):
            self._applied = True
        self._told(found)


def _remedy(error: str, job: str) -> str:
    """Return what to do after an error of this kind, and where the rows are."""
    if error == Unproved.__name__:
        return "do that before you start the job again: the rows that are gone may be missing in the tables"
    waiting = "rows wait in the updates topic as long as it keeps them, and the job makes them again if it was deleted"
    if error in _SKIPPED:
        return f"`adstream apply {job} --once` takes --skip; then start the job again: {waiting}"
    return f"repair that, and start the job again: {waiting}"
