"""Spark's class archive: the classes that a job loads at its start, for Java's class data sharing.

A JVM with the archive does not read these classes from three hundred jars, and does not check them again. `make warm`
makes the archive once for each Java and each PySpark. Its place is the cache beside the JVM parts,
`<cache>/classes-<place>-<hash>/`, created by one rename. Without the archive everything works too, and starts more
slowly.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from common.errors import AdstreamError, StackError
from common.settings import Settings, StackSettings
from common.system.children import python_module
from common.system.file_lock import Held, locked
from common.system.python_path import leave_other_pysparks
from common.text.progress_line import Working
from stack import parts
from stack.host.environment import java_environment
from stack.host.java import Java, find_java
from stack.host.signals import ending_raises
from stack.ivy import pyspark_folder
from stack.parts import Report

TRAINING_SECONDS = 600.0
# Groups of JVM parts on a local driver's class path, before Spark's own jars. Java archives no class of another class
# loader, and `spark.jars` has its own loader. Java also ignores an archive if the class path begins differently.
CLASS_PATH = ("local-files", "spark")
_SPARKS = "spark.jsa"
_JAVAS = "java.jsa"
_SIZES = "sizes.json"
# Otherwise a JVM prints on the terminal that it cannot use an archive, or that it leaves classes out of one.
_QUIET = "-Xlog:cds*=off"


def home(cache: Path, java: Java, pyspark: Path) -> Path:
    """Return the folder for the archive of this Java and this PySpark, whether it exists or not.

    A JVM ignores an archive of another Java, or of jars with another place or time: these are part of the name.
    """
    return cache / f"classes-{_digest(str(pyspark), str(java.home))[:8]}-{_digest(*_made_of(java, pyspark))[:16]}"


def _made_of(java: Java, pyspark: Path) -> Iterator[str]:
    yield from (str(java.home), java.version, parts.sum_of(parts.SUMS), *CLASS_PATH)
    for file in (java.home / "release", java.home / "lib" / "server" / "libjvm.so", _own(java)):
        yield _seen(file)
    for jar in sorted((pyspark / "jars").glob("*.jar")):
        yield _seen(jar)


def _seen(file: Path) -> str:
    try:
        found = file.stat()
    except FileNotFoundError:
        return f"no {file.name}"
    return f"{file.name} {found.st_size} {found.st_mtime_ns}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _own(java: Java) -> Path:
    """Return the archive of Java's own classes, which most Javas bring; Spark's archive builds on it."""
    return java.home / "lib" / "server" / "classes.jsa"


def java_option(settings: StackSettings, java: Java) -> str:
    """Return the options that let a driver's JVM use the archive; empty if there is none.

    Java silently ignores an archive that does not match, and does not check that the archive is complete.
    """
    folder = home(parts.cache_root(settings), java, pyspark_folder())
    try:
        sizes: dict[str, int] = json.loads((folder / _SIZES).read_text(encoding="ascii"))
        whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return ""
    if not whole:
        return ""
    return shlex.join([f"-XX:SharedArchiveFile={':'.join(str(folder / name) for name in sizes)}", _QUIET])


def make(settings: StackSettings, report: Report) -> None:
    """Make a missing archive, by a run of Spark (a minute). Reports any failure in one line."""
    try:
        java = find_java(settings.java_home)
        folder = home(parts.cache_root(settings), java, pyspark_folder())
        if java_option(settings, java):
            return
        parts.ensure(settings, report)
        with ending_raises(), locked(parts.cache_root(settings) / "classes.lock"):
            if not java_option(settings, java):
                shutil.rmtree(folder, ignore_errors=True)
                report("making Spark's class archive, once: later starts take some seconds less")
                _make(settings, java, folder)
    except Held:
        report("another process is making Spark's class archive")
    except (AdstreamError, OSError, subprocess.SubprocessError) as failed:
        report(f"there is no class archive, and Spark starts without one: {failed}")


def _make(settings: StackSettings, java: Java, folder: Path) -> None:
    log, passing = folder.parent / "classes.log", folder.parent / "classes.partial"
    shutil.rmtree(passing, ignore_errors=True)  # left by a run that was killed
    try:
        made, work = passing / "made", passing / "work"
        made.mkdir(parents=True)
        work.mkdir()
        with log.open("wb") as output:
            _write(settings, java, made, work, output)
        _seal(made)
        made.rename(folder)
    except (OSError, subprocess.SubprocessError):
        raise StackError("the run that makes it failed", f"{log} may say why") from None
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    log.unlink()
    _remove_older(folder)


def _write(settings: StackSettings, java: Java, made: Path, work: Path, output: IO[bytes]) -> None:
    options = [f"-XX:ArchiveClassesAtExit={made / _SPARKS}"]
    if not _own(java).is_file():
        below = f"-XX:SharedArchiveFile={made / _JAVAS}"
        options.append(below)
        _run([str(java.executable), "-Xshare:dump", below], work, output, os.environ)
    command = python_module("streaming.class_training", shlex.join([*options, _QUIET]))
    _run(command, work, output, _environment(settings))


def _run(command: list[str], work: Path, output: IO[bytes], environment: Mapping[str, str]) -> None:
    subprocess.run(
        command,
        cwd=work,
        env=java_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        timeout=TRAINING_SECONDS,
        check=True,
    )


def _seal(made: Path) -> None:
    """Record the sizes once the archive is on the disk: `java_option` trusts nothing else."""
    sizes: dict[str, int] = {}
    for archive in (made / _JAVAS, made / _SPARKS):
        if archive.name == _JAVAS and not archive.is_file():
            continue  # Java has its own
        with archive.open("rb") as file:
            os.fsync(file.fileno())
            sizes[archive.name] = os.fstat(file.fileno()).st_size
    (made / _SIZES).write_text(json.dumps(sizes), encoding="ascii")


def _environment(settings: StackSettings) -> dict[str, str]:
    """Return this process's environment and the place of this code, without the user's settings.

    Only the places of Java and of the JVM parts stay.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ADSTREAM_")}
    code = str(Path(__file__).parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
    kept["ADSTREAM_STACK_CACHE_DIR"] = str(parts.cache_root(settings))
    if settings.java_home:
        kept["ADSTREAM_STACK_JAVA_HOME"] = str(settings.java_home.absolute())
    return kept


def _remove_older(folder: Path) -> None:
    """Remove the archives of former versions of the same PySpark and Java. A JVM that has mapped one keeps it."""
    place = folder.name.rpartition("-")[0]
    for other in folder.parent.glob(f"{place}-*"):
        if other != folder:
            with contextlib.suppress(OSError):
                shutil.rmtree(other)


if __name__ == "__main__":
    leave_other_pysparks()
    with Working("making Spark's class archive"):
        make(Settings().stack, print)
