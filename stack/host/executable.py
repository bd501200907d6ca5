"""Folders that allow programs to run: Java unpacks its native libraries into one."""

import os
import tempfile
from pathlib import Path

from common.errors import StackError


def first_suitable(*folders: Path) -> Path:
    """Return the first of these folders that allows programs to run. Creates a missing one.

    Raises StackError.
    """
    for folder in folders:
        if allows_programs(folder):
            folder.mkdir(parents=True, exist_ok=True)
            return folder
    named = " nor ".join(str(folder) for folder in folders)
    raise StackError(
        f"Java needs a folder for native libraries, and programs may be executed neither in {named}",
        "set TMPDIR or ADSTREAM_DATA_DIR to a folder on a file system that is mounted without noexec",
    )


def temporary() -> Path:
    """Return the folder of this user's temporary files: TMPDIR, else the system's."""
    return Path(tempfile.gettempdir())


def allows_programs(folder: Path) -> bool:
    """Return whether programs may run from the file system of the folder, or of its nearest existing parent."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return not os.statvfs(there).f_flag & os.ST_NOEXEC
