"""The untyped values of the environment and of the files of settings."""

import os
from pathlib import Path

from dotenv import dotenv_values

from common.errors import ConfigError

ENV_FILE = Path(".env")
ENV_FILE_OPTION = "ADSTREAM_ENV_FILE"
DEFAULT_DATA_DIR = Path(".adstream")


def env_files() -> list[Path]:
    """Return the files of settings; the last one wins: `.env`, then the file of `--env-file` or ADSTREAM_ENV_FILE.

    The environment names the file, so that child processes read the same one. Raises ConfigError.
    """
    named = os.environ.get(ENV_FILE_OPTION)
    if not named:
        return [ENV_FILE]
    if not os.access(named, os.R_OK) or not Path(named).is_file():
        raise ConfigError(f"the file of settings {named} cannot be read", "correct --env-file or ADSTREAM_ENV_FILE")
    return [ENV_FILE, Path(named)]


def from_files() -> dict[str, str | None]:
    """Return every name that a file of settings has, with its value; the last file counts."""
    return {name: value for file in env_files() for name, value in dotenv_values(file).items()}


def data_dir() -> Path:
    """Return where the local stack and the jobs keep their data: ADSTREAM_DATA_DIR, else `.adstream` in this folder."""
    return Path(_configured("ADSTREAM_DATA_DIR") or DEFAULT_DATA_DIR)


def project() -> str:
    """Return the package of the user's jobs (common.project): ADSTREAM_PROJECT, else none."""
    return _configured("ADSTREAM_PROJECT") or ""


def _configured(name: str) -> str | None:
    return os.environ.get(name) or from_files().get(name)
