"""The Spark of real-time mode: its own PySpark and matching JVM parts, in the user's cache.

Real-time mode needs a newer Spark than the lakehouse jobs can run on (docs/decisions/0039-*.md). Only PySpark itself
differs; all other packages come from this environment. `<cache>/real-time-<hash>/` is created by one rename: a folder
of that name is complete and verified.

    real-time-<hash>/pyspark/                          by the hash in real-time.lock
    real-time-<hash>/adstream-parts/spark/*.jar        by the sums in real-time.sha256

`python -m stack.real_time` makes the environment ahead of time. With a command as arguments it then runs the command
with that Spark.
"""

import hashlib
import importlib
import os
import shutil
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from common.errors import AdstreamError, StackError
from common.settings import Settings, StackSettings
from common.system.children import python_module
from common.system.python_path import OWN_PARTS, leave_other_pysparks
from common.text.shown import say
from stack import ivy, parts, pip
from stack.host.paths import require_usable
from stack.host.signals import ending_raises
from stack.parts import Report

CONFIGURATIONS = ("spark",)
_HERE = Path(__file__).parent
LOCK = _HERE / "real-time.lock"
WANTED = _HERE / "real-time.xml"
LISTED = _HERE / "real-time-parts.xml"
SUMS = _HERE / "real-time.sha256"
MAKING = "making the environment of real-time mode"


def home(settings: StackSettings) -> Path:
    """Return the folder for the environment with these pins and sums, whether it exists or not."""
    pinned = hashlib.sha256(LOCK.read_bytes() + SUMS.read_bytes()).hexdigest()
    return parts.cache_root(settings) / f"real-time-{pinned[:16]}"


def entered() -> bool:
    """Return whether the PySpark that this process imports, or has imported, is one of real-time mode."""
    return (ivy.pyspark_folder().parent / OWN_PARTS).is_dir()


def enter(settings: Settings, report: Report) -> None:
    """Let this process and its children import the PySpark of real-time mode; a missing one is installed first.

    Call it before anything imports PySpark. The installation takes minutes, 450 MB of downloads and 500 MB of disk.
    Raises StackError.
    """
    target = home(settings.stack)
    loaded = sys.modules.get("pyspark")
    if loaded is not None:
        if Path(str(loaded.__file__)).parents[1] == target:
            return
        raise StackError(
            f"PySpark {loaded.__version__} is loaded already, and real-time mode needs its own",
            "start real-time mode in a new process",
        )
    ensure(settings.stack, report)
    _put_first(target)
    found = find_spec("pyspark")
    if found is None or found.origin is None or Path(found.origin).parents[1] != target:
        raise StackError(f"Python does not import PySpark from {target}", f"delete {target}, and try again")


def enter_if_made() -> None:
    """Let this process import the PySpark of real-time mode, if that is installed and no other one is loaded.

    It then need not start again, which takes seconds.
    """
    with suppress(AdstreamError):  # the command itself tells of wrong settings
        target = home(Settings().stack)
        if target.is_dir() and "pyspark" not in sys.modules:
            _put_first(target)


def start_again(settings: Settings, report: Report) -> NoReturn:
    """Start this command again with the PySpark of real-time mode, if another one is loaded. Raises StackError.

    A command imports PySpark to see whether a job suits real-time mode. Only then may it fetch anything for that mode.
    """
    _put_first(ensure(settings.stack, report))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, python_module("adstream.cli", *sys.argv[1:]))  # noqa: S606 - this program


def ensure(settings: StackSettings, report: Report = lambda _line: None) -> Path:
    """Return the folder of the environment. Makes it if it is missing. Raises StackError.

    Two processes that ask at once make it once: the second waits for the first.
    """
    cache, target = parts.cache_root(settings), home(settings)
    require_usable(cache, ivy.pyspark_folder())
    if target.is_dir():
        return target
    with ending_raises(), parts.alone(cache, "real-time", MAKING, report):
        if not target.is_dir():  # another process made it during the wait
            with parts.making(target):
                _make(settings, target, report)
    return target


def _make(settings: StackSettings, target: Path, report: Report) -> None:
    staging = target.with_name(f"{target.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    with parts.fetched(settings, LISTED, SUMS, into=staging / OWN_PARTS, report=report, configurations=CONFIGURATIONS):
        options = ["--target", str(staging)]
        if find_spec("setuptools"):  # else pip fetches it
            options.append("--no-build-isolation")
        doing = f"installing {_pinned()} for real-time mode"
        report(f"{doing}, once (450 MB)")
        pip.install(Path(sys.executable), LOCK, options, report=report, doing=doing)
        staging.rename(target)


def _pinned() -> str:
    """Return the package and its version from the lock file."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    name, _, version = next(line for line in lines if "==" in line).partition("==")
    return f"{name} {version.split()[0]}"


def _put_first(folder: Path) -> None:
    first = str(folder)
    sys.path[:] = [first, *(entry for entry in sys.path if entry != first)]
    named = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != first]
    os.environ["PYTHONPATH"] = os.pathsep.join([first, *named])
    importlib.invalidate_caches()


def main(command: list[str]) -> None:
    """Make the environment, and run the command in it, if there is one."""
    leave_other_pysparks()
    try:
        enter(Settings(), lambda line: say(line, err=True))
    except AdstreamError as error:
        say(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    if command:
        os.execvp(command[0], command)  # noqa: S606 - the command that the user gave
    say(str(home(Settings().stack)))


if __name__ == "__main__":
    main(sys.argv[1:])
