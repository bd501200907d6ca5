"""Spark's class archive: the classes that a job loads when it starts, kept as Java's class data sharing maps them.

A JVM with the archive neither reads those classes out of three hundred jars nor checks them again. It is made once for
each Java and each PySpark (`make warm`), in the cache beside the JVM parts: `<cache>/classes-<place>-<hash>/`, which
comes into being by one rename. Without it everything works as well, and starts more slowly.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from adstream.errors import AdstreamError
from adstream.file_lock import Held, locked
from adstream.settings import Settings, StackSettings
from stack import parts
from stack.ivy import pyspark_folder
from stack.java import Java, find_java
from stack.parts import Report
from stack.signals import ending_raises

TRAINING_SECONDS = 600.0
_SPARKS = "spark.jsa"
_JAVAS = "java.jsa"
# A JVM that cannot use an archive, or that leaves classes out of one, would say so on the terminal.
_QUIET = "-Xlog:cds*=off"


def home(cache: Path, java: Java, pyspark: Path) -> Path:
    """Where the archive of this Java and this PySpark belongs, whether it is there or not.

    A JVM refuses an archive of another Java, or of jars at another place or of another time: it is named after those.
    """
    return cache / f"classes-{_digest(str(pyspark))[:8]}-{_digest(*_made_of(java, pyspark))[:16]}"


def _made_of(java: Java, pyspark: Path) -> Iterator[str]:
    yield from (str(java.home), java.version)
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
    """The archive of Java's own classes, which most come with; Spark's lies on top of it."""
    return java.home / "lib" / "server" / "classes.jsa"


def java_option(settings: StackSettings, java: Java) -> str:
    """What a driver's JVM needs on its command line to use the archive; empty where there is none."""
    folder = home(parts.cache_root(settings), java, pyspark_folder())
    return _option(folder) if (folder / _SPARKS).is_file() else ""


def _option(folder: Path) -> str:
    archives = [str(folder / name) for name in (_JAVAS, _SPARKS) if (folder / name).is_file()]
    # A JVM would take the parts of such a path for archives of their own, and end.
    if any(":" in path for path in archives):
        return ""
    return shlex.join([f"-XX:SharedArchiveFile={':'.join(archives)}", _QUIET])


def make(settings: StackSettings, report: Report) -> None:
    """Make the archive where it is missing, by a run of Spark (a minute). Whatever fails is reported in one line."""
    try:
        java = find_java(settings.java_home)
        folder = home(parts.cache_root(settings), java, pyspark_folder())
        if folder.is_dir():
            return
        parts.ensure(settings, report)
        with ending_raises(), locked(parts.cache_root(settings) / "classes.lock"):
            if not folder.is_dir():
                report("making Spark's class archive, once: later starts take ten seconds less")
                _make(settings, java, folder)
    except Held:
        report("another process is making Spark's class archive")
    except (AdstreamError, OSError, subprocess.SubprocessError) as failed:
        report(f"there is no class archive, and Spark starts without one: {failed}")


def _make(settings: StackSettings, java: Java, folder: Path) -> None:
    log = folder.parent / "classes.log"
    with tempfile.TemporaryDirectory(prefix="classes-", dir=folder.parent) as passing, log.open("wb") as output:
        made = Path(passing) / "made"
        work = Path(passing) / "work"
        made.mkdir()
        work.mkdir()
        options = [f"-XX:ArchiveClassesAtExit={made / _SPARKS}"]
        if not _own(java).is_file():
            below = f"-XX:SharedArchiveFile={made / _JAVAS}"
            options.append(below)
            _run([str(java.executable), "-Xshare:dump", below], work, output.fileno(), os.environ)
        command = [sys.executable, "-m", "streaming.class_training", shlex.join([*options, _QUIET])]
        _run(command, work, output.fileno(), _environment(settings))
        if not (made / _SPARKS).is_file():
            raise FileNotFoundError(f"Java wrote none; {log} may say why")
        made.rename(folder)
    log.unlink()
    _remove_older(folder)


def _run(command: list[str], work: Path, output: int, environment: Mapping[str, str]) -> None:
    subprocess.run(
        command,
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        timeout=TRAINING_SECONDS,
        check=True,
    )


def _environment(settings: StackSettings) -> dict[str, str]:
    """This process's, with none of the user's settings but where Java and the JVM parts are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ADSTREAM_")}
    kept["ADSTREAM_STACK_CACHE_DIR"] = str(parts.cache_root(settings))
    if settings.java_home:
        kept["ADSTREAM_STACK_JAVA_HOME"] = str(settings.java_home.absolute())
    return kept


def _remove_older(folder: Path) -> None:
    """Remove the archives of the same PySpark's former jars or Java; a JVM that has one mapped keeps it."""
    place = folder.name.rpartition("-")[0]
    for other in folder.parent.glob(f"{place}-*"):
        if other != folder:
            with contextlib.suppress(OSError):
                shutil.rmtree(other)


if __name__ == "__main__":
    make(Settings().stack, print)
