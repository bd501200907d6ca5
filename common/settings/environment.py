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

    The environment names the file, so that child processes read the same one. Raises ConfigError.
    """
    named = os.environ.get(ENV_FILE_OPTION)
    if ENV_FILE.is_file():
        _require_text(ENV_FILE, "correct its permissions")
    if not named:
        return [ENV_FILE]
    _require_text(Path(named), "correct --env-file or ADSTREAM_ENV_FILE")
    return [ENV_FILE, Path(named)]


def _require_text(file: Path, remedy: str) -> None:
    try:
        file.read_text(encoding="utf-8")
    except OSError:
        raise ConfigError(f"the file of settings {file} cannot be read", remedy) from None
    except UnicodeDecodeError:
        raise ConfigError(f"the file of settings {file} is not UTF-8", "save it as UTF-8") from None


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
