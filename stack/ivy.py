"""Run Ivy: one Java process that fetches the files of a list and puts them into a folder."""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from common.errors import StackError
from common.settings import StackSettings
from common.system import proxies
from stack.host.environment import java_environment
from stack.host.java import find_java, network_options, proxy_login

CONFIGURATIONS = ("spark", "lakehouse", "local-files", "kafka", "registry", "cassandra")
ATTEMPTS = 4
STALLED_SECONDS = 180.0
TELL_EVERY_SECONDS = 2.0
FETCHING = "fetching the JVM parts"
_HERE = Path(__file__).parent
WANTED = _HERE / "ivy.xml"
LISTED = _HERE / "parts.xml"
# Ivy's messages about a failure, among a hundred other lines; the most useful first.
_REASONS = ("PKIX path", "UnknownHostException", "Connection refused", "timed out", "unreachable", "No space left")
_FAILURES = ("download failed", "unresolved dependency", "not found", "access error", "Exception", "error")

Report = Callable[[str], None]


def retrieve(
    settings: StackSettings,
    names: Path,
    *,
    into: Path,
    downloads: Path,
    expected: int | None,
    report: Report,
    configurations: Sequence[str] = CONFIGURATIONS,
    resolve: bool = False,
) -> None:
    """Put every file of the list `names` under `into/<configuration>/`. Raises StackError, one line.

    The list names every file, like LISTED. With `resolve` it names the wanted parts, like WANTED, and Ivy finds the
    rest. `downloads` is Ivy's own cache. If a try got further, another one follows: on a bad line one file of a hundred
    and fifty often fails.
    """
    reason = ""
    for _attempt in range(ATTEMPTS):
        before = _bytes_under(downloads)
        command = _command(settings, names, into, downloads, configurations, resolve=resolve)
        with _private_options(downloads.parent) as private:
            reason = _run([command[0], *private, *command[1:]], downloads, expected, report)
        if not reason:
            return
        if _bytes_under(downloads) <= before:
            break
        report(f"not complete ({reason}); trying again with what is still missing")
    raise StackError(f"the JVM parts cannot be fetched: {reason}", _remedy(reason))


def _remedy(reason: str) -> str:
    if "PKIX" in reason:
        return "set SSL_CERT_FILE to a PEM file with your proxy's certificate authority"
    if "No space" in reason:
        return "free some disk, or set ADSTREAM_STACK_CACHE_DIR to a folder elsewhere"
    proxy = proxies.proxy_of("https")
    through = f"the proxy of {proxy.variable}" if proxy else "HTTPS_PROXY is honoured"
    return f"check the network ({through}) and run it again; what is fetched already is kept"


def _command(
    settings: StackSettings, names: Path, into: Path, downloads: Path, configurations: Sequence[str], *, resolve: bool
) -> list[str]:
    java = find_java(settings.java_home)
    return [
        str(java.executable),
        "-Xmx256m",
        f"-Dadstream.resolver={'resolving' if resolve else 'listed'}",
        *network_options(downloads.parent),
        *("-cp", str(_ivy_jar()), "org.apache.ivy.Main"),
        *("-settings", str(_HERE / "ivysettings.xml"), "-ivy", str(names), "-cache", str(downloads)),
        *("-confs", *configurations),
        *("-retrieve", f"{into}/[conf]/[artifact]-[revision](-[classifier]).[ext]"),
        *("-types", "jar", "bundle", "tar.gz"),
    ]


@contextmanager
def _private_options(folder: Path) -> Iterator[list[str]]:
    """Yield Java's options with a file that holds the proxy's password.

    Every user of the machine can see a program's arguments.
    """
    options = proxy_login()
    if not options:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8") as file:  # made with mode 600
        file.writelines(json.dumps(option, ensure_ascii=False) + "\n" for option in options)
        file.flush()
        yield [f"@{file.name}"]


def pyspark_folder() -> Path:
    """Return PySpark's folder, without importing it. Raises StackError."""
    pyspark = find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        raise StackError("PySpark is not installed", "delete .venv and run `make setup`")
    return Path(pyspark.origin).parent


def _ivy_jar() -> Path:
    found = sorted(pyspark_folder().glob("jars/ivy-*.jar"))
    if not found:
        raise StackError("PySpark's own ivy-*.jar is missing", "delete .venv and run `make setup`")
    return found[-1]


def _run(command: list[str], downloads: Path, expected: int | None, report: Report) -> str:
    """Run Ivy. Returns an empty text on success, else the line with the cause. Ivy never outlives this call."""
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        env=java_environment(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None  # noqa: S101 - for the type checker: a pipe was asked for
    try:
        arriving: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, arriving), daemon=True).start()
        _follow(arriving, lines, _Progress(downloads, expected, report))
        return "" if process.wait(timeout=30) == 0 else _why(lines)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _read(stream: IO[str], into: "queue.SimpleQueue[str | None]") -> None:
    try:
        for line in stream:
            into.put(line)
    except ValueError:
        pass  # the other side closed it: nobody wants the rest
    into.put(None)


def _follow(arriving: "queue.SimpleQueue[str | None]", lines: list[str], progress: "_Progress") -> None:
    while True:
        try:
            line = arriving.get(timeout=TELL_EVERY_SECONDS)
        except queue.Empty:
            progress.tell()
            continue
        if line is None:
            return
        lines.append(line)
        progress.count(line)
        progress.tell()


class _Progress:
    """Reports every two seconds, and gives up when neither a line nor a byte arrives for minutes."""

    def __init__(self, downloads: Path, expected: int | None, report: Report) -> None:
        self._downloads, self._expected, self._report = downloads, expected, report
        self._resolved = self._fetched = self._bytes = 0
        self._told = self._moved = time.monotonic()

    def count(self, line: str) -> None:
        self._moved = time.monotonic()
        self._resolved += "\tfound " in line
        self._fetched += "[SUCCESSFUL ]" in line

    def tell(self) -> None:
        now = time.monotonic()
        if now - self._told < TELL_EVERY_SECONDS:
            return
        self._told = now
        size = _bytes_under(self._downloads)
        if size != self._bytes:
            self._bytes, self._moved = size, now
        if now - self._moved > STALLED_SECONDS:
            raise StackError(
                f"nothing has arrived for {STALLED_SECONDS:.0f} s while fetching the JVM parts", _remedy("")
            )
        of = f" of {self._expected}" if self._expected else ""
        if self._fetched:
            self._report(f"{FETCHING}: {self._fetched}{of} files, {size / 1e6:.0f} MB")
        else:
            self._report(f"{FETCHING}: looked up {self._resolved}{of}")


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # a `.part` file that has just got its final name
    return total


def _why(lines: list[str]) -> str:
    """Return a known cause, else the first line that sounds like a failure, else the last line."""
    for sign in (*_REASONS, *_FAILURES):
        for line in lines:
            if sign in line:
                return line.strip().strip(":").strip()
    return lines[-1].strip() if lines else "Ivy said nothing"
