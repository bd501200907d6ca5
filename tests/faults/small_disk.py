"""A small file system in memory, as a disk that can be full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.settings import Settings
from stack import local
from stack.service import Service

_TAKEN = "taken"
_MIB = 1024 * 1024


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of `size` bytes over the folder. Skips the test where only root may do that."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"only root may mount a file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def on_a_small_disk(settings: Settings, service: Service, room: int) -> Iterator[Path]:
    """Move a service of the session's stack onto a small disk with `room` bytes for more data.

    Afterwards the service runs on its own disk again, with the data from before.
    """
    folder = settings.data_dir.absolute() / service.name
    copy = folder.with_name(f"{service.name}-copy")
    local.down(settings, only=[service])
    try:
        _copy(folder, copy)
        used = 512 * sum(each.stat().st_blocks for each in copy.rglob("*"))
        with small_disk(folder, used + room):
            _copy(copy, folder)
            local.up(settings)
            try:
                yield folder
            finally:
                local.down(settings, only=[service])
    finally:
        shutil.rmtree(copy, ignore_errors=True)
        local.up(settings)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder. Holes in its files stay holes: Kafka's indexes are mostly that."""
    subprocess.run(["cp", "--archive", "--sparse=always", "--no-target-directory", source, target], check=True)


@contextmanager
def full(disk: Path, left: int = 0) -> Iterator[None]:
    """Fill the disk but for `left` bytes, until the block ends."""
    taken = disk / _TAKEN
    with taken.open("wb") as file:
        while (free := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left) > 0:
            file.write(bytes(min(free, _MIB)))
            file.flush()
    try:
        yield
    finally:
        taken.unlink()
