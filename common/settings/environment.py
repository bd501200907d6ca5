"""The untyped values of the environment and of the files of settings."""

import os
from pathlib import Path

from dotenv import dotenv_values

from common.errors import ConfigError
from common.own_stack import SECURED

ENV_FILE = Path(".env")
ENV_FILE_OPTION = "ADSTREAM_ENV_FILE"
DATA_DIR_OPTION = "ADSTREAM_DATA_DIR"
DEFAULT_DATA_DIR = Path(".adstream")


def env_files() -> list[Path]:
    """Return the files of settings; the last one wins: `.env`, then the file of `--env-file` or ADSTREAM_ENV_FILE.

    Leaves out `.env` if it does not exist. The environment names the other file, so that child processes read the same
    one. Raises ConfigError.
    """
    files = []
    if _is_there(ENV_FILE):
        _require_text(ENV_FILE, "correct its permissions")
        files.append(ENV_FILE)
    if named := os.environ.get(ENV_FILE_OPTION):
        _require_text(Path(named), "correct --env-file or ADSTREAM_ENV_FILE")
        files.append(Path(named))
    return files


def _is_there(file: Path) -> bool:
    """Return whether there is such a file. A folder that this user may not search has none."""
    try:
        return file.is_file()
    except PermissionError:
        return False


def _require_text(file: Path, remedy: str) -> None:
    try:
        readable = file.is_file()  # a pipe could be read once, and each section reads the files
        if readable:
            file.read_text(encoding="utf-8")
    except OSError:
        readable = False
    except UnicodeDecodeError:
        raise ConfigError(f"the file of settings {file} is not UTF-8", "save it as UTF-8") from None
    if not readable:
        raise ConfigError(f"the file of settings {file} cannot be read", remedy)


def from_files() -> dict[str, str | None]:
    """Return every name that a file of settings has, with its value; the last file counts. Raises ConfigError."""
    return {name: value for file in env_files() for name, value in dotenv_values(file).items()}


def data_dir() -> Path:
    """Return where the local stack and the jobs keep their data: ADSTREAM_DATA_DIR, else `.adstream` in this folder.

    A role's file names the folder of its secured stack: `secured` in the data folder. So the file also counts if the
    environment names this data folder. Otherwise the environment wins, as for every setting.
    """
    named, filed = os.environ.get(DATA_DIR_OPTION), from_files().get(DATA_DIR_OPTION)
    if named and filed and Path(filed).resolve() == Path(named, SECURED).resolve():
        return Path(filed)
    return Path(named or filed or DEFAULT_DATA_DIR)


def project() -> str:
    """Return the package of the user's jobs (common.project): ADSTREAM_PROJECT, else none."""
    return os.environ.get("ADSTREAM_PROJECT") or from_files().get("ADSTREAM_PROJECT") or ""
