"""Check that this machine has room for the stack: memory and disk, for `up` and for `doctor`."""

import shutil
from pathlib import Path

import psutil

from common.errors import StackError

MEMORY_NEEDED = 4 * 1024**3  # three services take about 1.6 GB, a Spark job about 1.5 GB
DISK_NEEDED = 3 * 1024**3  # parts 0.4 GB, their downloads as much again, and room for data


def available_memory() -> int:
    """Return the available memory in bytes, including cgroup limits of a container."""
    free = psutil.virtual_memory().available
    limit, used = (_cgroup_bytes(name) for name in ("memory.max", "memory.current"))
    return min(free, limit - used) if limit is not None and used is not None else free


def _cgroup_bytes(name: str) -> int | None:
    try:
        return int((Path("/sys/fs/cgroup") / name).read_text(encoding="ascii"))
    except (OSError, ValueError):  # not Linux, not in a group, or "max"
        return None


def free_disk(path: Path) -> int:
    """Return the free bytes of the file system of `path`, which need not exist."""
    existing = next(folder for folder in [path.absolute(), *path.absolute().parents] if folder.exists())
    return shutil.disk_usage(existing).free


def require_room(data: Path, cache: Path) -> None:
    """Raise StackError with the numbers if there is too little memory or disk to start."""
    memory = available_memory()
    if memory < MEMORY_NEEDED:
        needed = gigabytes(MEMORY_NEEDED)
        problem = f"{gigabytes(memory)} of memory are available, and {needed} are needed for the stack with one job"
        raise StackError(problem, "close other programs")
    for path in (data, cache):
        if (free := free_disk(path)) < DISK_NEEDED:
            problem = f"{gigabytes(free)} of disk are free at {path}, and {gigabytes(DISK_NEEDED)} are needed"
            raise StackError(problem, "free some, or choose other folders: ADSTREAM_DATA_DIR, ADSTREAM_STACK_CACHE_DIR")


def gigabytes(number: int) -> str:
    """Write bytes for people."""
    return f"{number / 1024**3:.1f} GB"
