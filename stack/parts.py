"""The JVM parts: fetched once by the Ivy that PySpark ships, checked against committed sums, kept in the user's cache.

`<cache>/parts-<hash>/<configuration>/*.jar` comes into being by one rename, and only after every sum was right: a
folder of that name is complete and verified. What an interrupted fetch has downloaded is kept for the next try.
"""

import fcntl
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from adstream.errors import StackError
from adstream.settings import Settings, StackSettings
from stack import ivy
from stack.paths import require_usable
from stack.signals import ending_raises

SUMS = Path(str(files("stack"))) / "parts.sha256"
REGISTRY_HOME = "registry-app"  # the registry's archive, unpacked beside the configurations
LOCK_WAIT_SECONDS = 1800.0
Report = Callable[[str], None]


def cache_root(settings: StackSettings) -> Path:
    """ADSTREAM_STACK_CACHE_DIR, else $XDG_CACHE_HOME/adstream, else ~/.cache/adstream."""
    if settings.cache_dir:
        return settings.cache_dir.expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "adstream"


def home(settings: StackSettings) -> Path:
    """Where the parts with these sums belong, whether they are there or not."""
    return cache_root(settings) / f"parts-{sum_of(SUMS)[:16]}"


def jars(configuration: str) -> list[Path]:
    """The jars of `spark`, `kafka` or `cassandra`, fetched first when they are missing. Raises StackError."""
    return sorted((ensure(Settings().stack) / configuration).glob("*.jar"))


def ensure(settings: StackSettings, report: Report = lambda _line: None) -> Path:
    """The folder of the parts; fetches them when missing (225 MB, minutes). Raises StackError.

    Two processes that ask at once fetch once: the second waits for the first.
    """
    require_usable(cache_root(settings), ivy.pyspark_folder())
    target = home(settings)
    if target.is_dir():
        return target
    with ending_raises(), _alone(cache_root(settings), report):
        if not target.is_dir():  # fetched by somebody else while this one waited
            _fetch(settings, target, report)
    return target


def _fetch(settings: StackSettings, target: Path, report: Report) -> None:
    staging = target.with_name(f"{target.name}.partial")
    downloads = target.with_name("downloads")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    sums = read_sums()
    ivy.retrieve(settings, ivy.LISTED, into=staging, downloads=downloads, expected=len(sums), report=report)
    report(f"checking the sums of {len(sums)} files")
    wrong = wrong_files(staging, sums)
    if wrong:
        shutil.rmtree(staging)
        shutil.rmtree(downloads, ignore_errors=True)
        raise StackError(
            f"{wrong[0]} is not the file whose SHA-256 sum is in {SUMS.name}"
            + (f" (nor are {len(wrong) - 1} others)" if len(wrong) > 1 else ""),
            "it was thrown away; try again, and if it stays so do not trust the network in between",
        )
    unpack_registry(staging)
    staging.rename(target)
    shutil.rmtree(downloads, ignore_errors=True)


def read_sums(path: Path = SUMS) -> dict[str, str]:
    """`configuration/file` -> SHA-256 in hex, from a file as `sha256sum` writes it."""
    pairs = (line.split(maxsplit=1) for line in path.read_text(encoding="ascii").splitlines() if line)
    return {name: digest for digest, name in pairs}


def wrong_files(folder: Path, sums: dict[str, str]) -> list[str]:
    """The names whose content is missing or other than its sum, and the files that no sum speaks of."""
    present = {path.relative_to(folder).as_posix() for path in folder.glob("*/*") if _is_part(path, folder)}
    changed = (name for name, digest in sums.items() if name not in present or sum_of(folder / name) != digest)
    return sorted({*changed, *(present - sums.keys())})


def _is_part(path: Path, folder: Path) -> bool:
    return path.is_file() and path.parent != folder / REGISTRY_HOME


def sum_of(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unpack_registry(folder: Path) -> None:
    """The registry comes as one archive; its program and libraries are needed as files."""
    (archive,) = (folder / "registry").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / REGISTRY_HOME, filter="data")


@contextmanager
def _alone(cache: Path, report: Report) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "parts.lock").open("w")
    except OSError as refused:
        raise StackError(f"the cache {cache} cannot be written: {refused.strerror}", _CACHE_REMEDY) from None
    with lock:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    report("another process is fetching the JVM parts; waiting for it")
                    told = True
                if time.monotonic() > deadline:
                    raise StackError(
                        "another process has been fetching the JVM parts for too long", "stop it"
                    ) from None
                time.sleep(0.5)
            else:
                break
        yield


_CACHE_REMEDY = "set ADSTREAM_STACK_CACHE_DIR to a folder that can"
