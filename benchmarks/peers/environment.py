"""Python environments and jars of the peers, under `<cache>/peers`.

They are made once, from exact versions with checksums.
"""

import shutil
import sys
import venv
from pathlib import Path

from benchmarks.peers.drained import PeerMissing
from common.errors import StackError
from common.settings import Settings
from stack import parts, pip

HERE = Path(__file__).parent


def python(settings: Settings, name: str) -> Path:
    """Return the interpreter of an environment that has exactly the packages of `<name>.lock`.

    Raises PeerMissing.
    """
    lock = HERE / f"{name}.lock"
    target = _folder(settings, name, lock)
    if not target.is_dir():
        making = target.with_name(f"{target.name}.partial")
        shutil.rmtree(making, ignore_errors=True)
        venv.create(making, with_pip=True)
        try:
            pip.install(making / "bin" / "python", lock)
        except StackError as failed:
            raise PeerMissing(f"{name} cannot be installed: {failed.problem}") from None
        making.rename(target)
    return target / "bin" / "python"


def jars(settings: Settings, name: str) -> Path:
    """Return a folder with the jars of `<name>.xml`, checked against `<name>.sha256`.

    Raises PeerMissing.
    """
    sums = HERE / f"{name}.sha256"
    target = _folder(settings, f"{name}-jars", sums)
    if not target.is_dir():
        making = target.with_name(f"{target.name}.partial")
        try:
            with parts.fetched(
                settings.stack,
                HERE / f"{name}.xml",
                sums,
                into=making,
                report=lambda _line: None,
                configurations=(name,),
                resolve=True,
            ):
                making.rename(target)
        except StackError as failed:
            raise PeerMissing(f"{name}: {failed.problem}") from None
    return target / name


def site_packages(interpreter: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return interpreter.parents[1] / "lib" / version / "site-packages"


def _folder(settings: Settings, name: str, pinned: Path) -> Path:
    folder = parts.cache_root(settings.stack) / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{parts.sum_of(pinned)[:16]}"
