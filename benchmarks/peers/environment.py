"""Environments of the peers' own, under `<cache>/peers`: made once, by exact versions and sums."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from adstream.errors import StackError
from adstream.settings import Settings
from benchmarks.peers.drained import PeerMissing
from stack import ivy, parts

HERE = Path(__file__).parent
INSTALL_SECONDS = 900


def python(settings: Settings, name: str) -> Path:
    """The interpreter of an environment with exactly what `<name>.lock` says. Raises PeerMissing."""
    lock = HERE / f"{name}.lock"
    target = _folder(settings, name, lock)
    if not target.is_dir():
        making = target.with_name(f"{target.name}.partial")
        shutil.rmtree(making, ignore_errors=True)
        venv.create(making, with_pip=True)
        command = [making / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", lock]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.CalledProcessError as failed:
            why = (failed.stderr.strip() or "pip said nothing").splitlines()[-1]
            raise PeerMissing(f"{name} cannot be installed: {why}") from None
        except subprocess.TimeoutExpired:
            raise PeerMissing(f"{name} was not installed in {INSTALL_SECONDS} s") from None
        making.rename(target)
    return target / "bin" / "python"


def jars(settings: Settings, name: str) -> Path:
    """A folder with the jars of `<name>.xml`, of the sums in `<name>.sha256`. Raises PeerMissing."""
    sums = parts.read_sums(HERE / f"{name}.sha256")
    target = _folder(settings, f"{name}-jars", HERE / f"{name}.sha256")
    if not target.is_dir():
        making = target.with_name(f"{target.name}.partial")
        downloads = target.with_name(f"{target.name}.downloads")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        try:
            ivy.retrieve(
                settings.stack,
                HERE / f"{name}.xml",
                into=making,
                downloads=downloads,
                expected=len(sums),
                report=lambda _line: None,
                configurations=(name,),
            )
        except StackError as failed:
            raise PeerMissing(f"{name}: {failed.problem}") from None
        if wrong := parts.wrong_files(making, sums):
            raise PeerMissing(f"{wrong[0]} is not the file whose SHA-256 sum is in {name}.sha256")
        making.rename(target)
        shutil.rmtree(downloads, ignore_errors=True)
    return target / name


def site_packages(interpreter: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return interpreter.parents[1] / "lib" / version / "site-packages"


def _folder(settings: Settings, name: str, pinned: Path) -> Path:
    folder = parts.cache_root(settings.stack) / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{parts.sum_of(pinned)[:16]}"
