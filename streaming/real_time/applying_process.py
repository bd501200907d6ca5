"""The applying process of a job (`adstream apply`) as a child: start, listen, restart, and stop."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from common.errors import JobFailed

# The process ends by itself after minutes without a service. After this many ends in a row without an applied row, the
# runner gives up.
ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1.0
_LINES_KEPT = 5
_STOP_SECONDS = 30.0

Figures = Mapping[str, Any]


class ApplyingProcess:
    """The applying process, a child. A thread passes each of its reports, as parsed JSON, to `told`.

    `member` is its name in the consumer group. A process restarted under the same name goes on at once. Under another
    name the group would first wait for the end of a session.
    """

    def __init__(
        self, job: str, *, member: str, told: Callable[[Figures], None], notice: Callable[[str], None]
    ) -> None:
        self._job, self._member, self._told, self._notice = job, member, told, notice
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._last: deque[str] = deque(maxlen=_LINES_KEPT)
        self._failures = 0
        self._not_before = 0.0
        self._applied = False

    def start(self) -> None:
        """Start the process. A Ctrl-C at the terminal does not reach it, because it must still apply the query's rows.

        The child ends when its input ends. So it never outlives this process.
        """
        self._applied = False
        command = [sys.executable, "-m", "adstream.cli", "apply", self._job, "--until-input-ends"]
        command += ["--member", self._member, "--log-format", "json", "--metrics-port", "off"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(os.environ),
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="applying process", daemon=True)
        self._reader.start()

    def watch(self) -> None:
        """Restart the process if it has ended, after a pause. Raises JobFailed if restarts do not help."""
        process = self._process
        if process is not None and process.poll() is not None:
            self._ended(process)
        if self._process is None and time.monotonic() >= self._not_before:
            self.start()

    def stop(self) -> None:
        """Let the process apply all rows that the topic holds, for 30 s at most, and end."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        self._process = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _ended(self, process: "subprocess.Popen[str]") -> None:
        if self._reader is not None:
            self._reader.join(_STOP_SECONDS)
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        self._failures = 1 if self._applied else self._failures + 1
        why = self._last[-1] if self._last else "it said nothing"
        if self._failures >= ATTEMPTS:
            raise JobFailed(
                f"the applying process of {self._job} ended {self._failures} times in a row: {why}",
                "repair that, and start the job again: rows wait in the updates topic, and nothing is lost",
            )
        pause = _FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1)
        self._not_before = time.monotonic() + pause
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
            if line:
                self._last.append(line)
            return
        if message := found.get("message"):
            self._last.append(str(message))
        if found.get("rows_written"):
            self._applied = True
        self._told(found)
