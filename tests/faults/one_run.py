"""One test of the campaign in a process of its own, at low priority; nothing of it is left when it has ended."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

# A busy machine lets the lowest priority wait until the tests give up.
NICE = 10
# Far more than the longest timeout of a test.
LIMIT_SECONDS = 3_600.0
# After SIGTERM a test stops its services and Spark.
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 2.0
_MARK = "FAULT_CAMPAIGN_RUN"


class OneRun:
    """What a command did: `code` of its end, and `log`, which holds its output."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        root: Path,
        log: Path,
        nice: int = NICE,
        environment: Mapping[str, str] | None = None,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        """`environment` is added to this process's; the run is killed after `limit` seconds."""
        self.log = log
        self._environment = environment or {}
        self._limit = limit
        self._mark = secrets.token_hex(8)
        self._root = root
        self._nice = nice
        self._folder = Path(tempfile.mkdtemp(prefix="adstream-faults-"))
        self._command = ["nice", "-n", str(nice), *command, "--basetemp", str(self._folder / "run")]

    def wait(self) -> int:
        """Run it to its end; returns its exit code, which is that of a kill after the limit.

        On Ctrl-C, asks it to end, and kills what does not.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self._environment, _MARK: self._mark, "COLUMNS": "300"}
        try:
            with self.log.open("wb") as output:
                child = subprocess.Popen(
                    self._command,
                    cwd=self._root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the campaign alone, which ends the test in order
                )
                try:
                    return self._watched(child)
                finally:
                    self._end(child)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _watched(self, child: subprocess.Popen[bytes]) -> int:
        sessions: set[int] = set()
        end = time.monotonic() + self._limit
        while time.monotonic() < end:
            try:
                return child.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                for process in self._processes():
                    _lower_session(process.pid, self._nice, sessions)
        return -signal.SIGKILL

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        if child.poll() is None:
            child.terminate()
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                child.wait(PATIENCE_SECONDS)
        for process in self._processes():
            with suppress(psutil.Error):
                process.kill()
        child.wait()

    def _processes(self) -> Iterator[psutil.Process]:
        """Those with the run's mark; services, which get an environment of their own, by their folder."""
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark or self._folder in Path(process.cwd()).parents:
                    yield process
            except (psutil.Error, OSError):
                continue


def _lower_session(pid: int, nice: int, seen: set[int]) -> None:
    """Linux shares time out by session first: a priority holds within its session alone."""
    with suppress(OSError):
        session = os.getsid(pid)
        if session not in seen:
            Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n", encoding="ascii")
            seen.add(session)


def end_by_signals() -> None:
    """Let SIGTERM and Ctrl-C raise KeyboardInterrupt. A shell's background job would ignore Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
