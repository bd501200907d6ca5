"""Runs `adstream` in a fork of a process that has already loaded its libraries.

Like any other start of the program, a fork is a process with its own arguments, environment and files. It saves a
second of computing, and tests start the program hundreds of times.

    python -m tests.e2e.loaded_program DESCRIPTOR
"""

import atexit
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Libraries that commands load on demand. Libraries that start a thread are missing: a fork would lack the thread.
LOADED = (
    "common.cassandra.session", "common.cassandra.migrations", "common.kafka", "common.registry",
    "adstream.commands.verify", "adstream.dead_letters.dead_letter_pages", "adstream.dead_letters.letters",
    "cassandra.cluster", "confluent_kafka", "consumer.debug", "fastavro", "producer.events", "producer.publisher",
    "producer.run", "pyspark.sql", "rich.table", "stack.checks.doctor",
)  # fmt: skip
NO_THREADS = {"OPENBLAS_NUM_THREADS": "1"}  # for NumPy, which Cassandra's driver loads
# Python and its libraries read these variables when they start. A fork has started already.
READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "SPARK", "PYSPARK", "TMP")
# Spark takes so long to start that a fork would save next to nothing.
STARTS_SPARK = {"stream", "sql", "batch", "validate", "backfill", "archive", "demo", "tour", "daily-sales"}


class LoadedProgram:
    """Answers one call at a time. `run` works like `subprocess.run` for this program."""

    def __init__(self) -> None:
        self._started_with = _read_at_the_start(os.environ)
        self._calls, theirs = socket.socketpair()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.loaded_program", str(theirs.fileno())],
            env=os.environ | NO_THREADS | {"PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self.end)

    @property
    def server(self) -> int:
        return self._server.pid

    def suits(self, arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Return whether a fork does the same as a new process in this environment, and saves time."""
        return STARTS_SPARK.isdisjoint(arguments) and _read_at_the_start(environment) == self._started_with

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
        """Run the program. Return the exit code, standard output, and standard error."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            call = json.dumps([list(arguments), dict(environment), str(Path.cwd())]).encode()
            socket.send_fds(self._calls, [f"{len(call):10}".encode()], [out.fileno(), errors.fileno()])
            self._calls.sendall(call)
            self._calls.settimeout(None)  # the server answers with a fork's id, or has ended
            pid = int(_exactly(self._calls, 10))
            self._calls.settimeout(seconds)
            try:
                code = int(_exactly(self._calls, 10))
            except BaseException:
                os.kill(pid, 9)
                self._calls.settimeout(None)
                _exactly(self._calls, 10)
                raise
            return code, _text(out), _text(errors)

    def end(self) -> None:
        self._calls.close()  # the server ends when its only caller hangs up
        self._server.wait(30)


def serve(calls: socket.socket) -> None:
    """Fork for each call, and end with the caller. Returns only in a fork, which then runs the program."""
    for name in LOADED:
        importlib.import_module(name)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "a library has started a thread, which a fork would not have"
    gc.collect()
    gc.freeze()  # so that forks share these objects for their whole life
    while True:
        size, files, _flags, _address = socket.recv_fds(calls, 10, 2)
        if not size:
            sys.exit()
        call = json.loads(_exactly(calls, int(size)))
        pid = os.fork()
        if not pid:
            calls.close()
            return _become(*call, *files)
        for file in files:
            os.close(file)
        calls.sendall(f"{pid:10}".encode())
        _, status = os.waitpid(pid, 0)
        calls.sendall(f"{os.waitstatus_to_exitcode(status):10}".encode())


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}


def _become(arguments: list[str], environment: dict[str, str], folder: str, out: int, errors: int) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    os.dup2(out, 1)
    os.dup2(errors, 2)
    os.close(out)
    os.close(errors)
    sys.argv = ["adstream", *arguments]


def _exactly(calls: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = calls.recv(size - len(found))
        if not part:
            raise EOFError("the other end is gone")
        found += part
    return found


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _end(code: int) -> None:
    """End as Python does, but leave loaded modules alone: freeing them would copy shared memory."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    from adstream.cli import main

    try:
        main()
    except SystemExit as ended:
        _end(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)
    _end(0)
