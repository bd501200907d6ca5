"""The JVM parts: fetched once by PySpark's Ivy, checked against committed sums, kept in the user's cache.

`<cache>/parts-<hash>/<configuration>/*.jar` is created by one rename, after every sum was right: a folder of that name
is complete and verified. An interrupted fetch keeps its downloads for the next try.
"""

import fcntl
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from common.errors import StackError
from common.settings import Settings, StackSettings
from common.system.python_path import OWN_PARTS
from stack import ivy
from stack.host.paths import require_usable
from stack.host.signals import ending_raises

SUMS = Path(str(files("stack"))) / "parts.sha256"
REGISTRY_HOME = "registry-app"  # the registry's archive, unpacked beside the configurations
LOCK_WAIT_SECONDS = 1800.0
Report = Callable[[str], None]


def cache_root(settings: StackSettings) -> Path:
    """Return ADSTREAM_STACK_CACHE_DIR, else $XDG_CACHE_HOME/adstream, else ~/.cache/adstream."""
    if settings.cache_dir:
        return settings.cache_dir.expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "adstream"


def home(settings: StackSettings) -> Path:
    """Return the folder for the parts with these sums, whether it exists or not."""
    return cache_root(settings) / f"parts-{sum_of(SUMS)[:16]}"


def jars(configuration: str) -> list[Path]:
    """Return the jars of `spark`, `kafka` or `cassandra`. Fetches missing ones first. Raises StackError.

    The jars of `spark` match the PySpark in use. If a PySpark has its own parts beside it (stack/real_time.py), the
    result is these parts.
    """
    own = ivy.pyspark_folder().parent / OWN_PARTS / configuration
    return sorted((own if own.is_dir() else ensure(Settings().stack) / configuration).glob("*.jar"))


def ensure(settings: StackSettings, report: Report = lambda _line: None) -> Path:
    """Return the folder of the parts. Fetches missing ones (225 MB, minutes). Raises StackError.

    Two processes that ask at once fetch once: the second waits for the first.
    """
    require_usable(cache_root(settings), ivy.pyspark_folder())
    target = home(settings)
    if target.is_dir():
        return target
    with ending_raises(), alone(cache_root(settings), "parts", ivy.FETCHING, report):
        if not target.is_dir():  # another process fetched it during the wait
            with making(target):
                _fetch(settings, target, report)
    return target


@contextmanager
def making(target: Path) -> Iterator[None]:
    """Make a folder of the cache in this context. Raises StackError if the disk is full, or cannot be written."""
    try:
        yield
    except OSError as failed:
        problem = f"{target} cannot be made: {failed.strerror or failed}"
        raise StackError(problem, "free some disk, or set ADSTREAM_STACK_CACHE_DIR") from None


def _fetch(settings: StackSettings, target: Path, report: Report) -> None:
    staging = target.with_name(f"{target.name}.partial")
    with fetched(settings, ivy.LISTED, SUMS, into=staging, report=report):
        unpack_registry(staging)
        staging.rename(target)


@contextmanager
def fetched(
    settings: StackSettings,
    names: Path,
    sums: Path,
    *,
    into: Path,
    report: Report,
    configurations: Sequence[str] = ivy.CONFIGURATIONS,
    resolve: bool = False,
) -> Iterator[None]:
    """Fetch the files of the list `names` into `into`, a new folder, and check each by its sum in `sums`. Then yield.

    Raises StackError. With `resolve` the list names no files, and Ivy finds the needed ones. After a block without
    errors, or with a wrong file, the downloads are deleted. Otherwise the next try uses them.
    """
    downloads = cache_root(settings) / ("downloads" if names == ivy.LISTED else f"{names.stem}-downloads")
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    expected = read_sums(sums)
    ivy.retrieve(
        settings,
        names,
        into=into,
        downloads=downloads,
        expected=len(expected),
        report=report,
        configurations=configurations,
        resolve=resolve,
    )
    report(f"checking the sums of {len(expected)} files")
    wrong = wrong_files(into, expected)
    if wrong:
        shutil.rmtree(into)
        shutil.rmtree(downloads, ignore_errors=True)
        raise StackError(
            f"{wrong[0]} is not the file whose SHA-256 sum is in {sums.name}"
            + (f" (nor are {len(wrong) - 1} others)" if len(wrong) > 1 else ""),
            "it was deleted; try again, and if the error stays do not trust the network in between",
        )
    yield
    shutil.rmtree(downloads, ignore_errors=True)


def read_sums(path: Path = SUMS) -> dict[str, str]:
    """Read `configuration/file` -> SHA-256 in hex, from a file as `sha256sum` writes it."""
    pairs = (line.split(maxsplit=1) for line in path.read_text(encoding="ascii").splitlines() if line)
    return {name: digest for digest, name in pairs}


def wrong_files(folder: Path, sums: dict[str, str]) -> list[str]:
    """Return the names of missing files, of files with another sum, and of files without a sum."""
    present = {path.relative_to(folder).as_posix() for path in folder.glob("*/*") if _is_part(path, folder)}
    changed = (name for name, digest in sums.items() if name not in present or sum_of(folder / name) != digest)
    return sorted({*changed, *(present - sums.keys())})


def _is_part(path: Path, folder: Path) -> bool:
    return path.is_file() and path.parent != folder / REGISTRY_HOME


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unpack_registry(folder: Path) -> None:
    """Unpack the registry's archive: its program and libraries are needed as files."""
    (archive,) = (folder / "registry").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        # Python before 3.11.4, as in Debian 12, has no filters, and as root gives files to the archive's owner. The sum
        # of the archive has been checked.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        for member in packed.getmembers():
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        packed.extractall(folder / REGISTRY_HOME)  # noqa: S202


@contextmanager
def alone(cache: Path, name: str, doing: str, report: Report) -> Iterator[None]:
    """Hold `<cache>/<name>.lock`; waits for another process that is `doing` the same. Raises StackError."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f"{name}.lock").open("w")
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
                    report(f"another process is {doing}; waiting for it")
                    told = True
                if time.monotonic() > deadline:
                    raise StackError(f"another process has been {doing} for too long", "stop it") from None
                time.sleep(0.5)
            else:
                break
        yield


_CACHE_REMEDY = "set ADSTREAM_STACK_CACHE_DIR to a folder that can"
