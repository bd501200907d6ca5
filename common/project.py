"""A user's project: a Python package named by ADSTREAM_PROJECT, in this folder or installed.

Its `JOBS` (streaming.job.Job) join the catalogue, its `SOURCES` (producer.source.Source) join the sources of `produce`,
and its folders `schemas/` and `cql/` hold its contracts and migrations. All of these are optional. Without the setting
there is no such package, and nothing is imported.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar

from common.errors import ConfigError
from common.settings import project


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def joined(ours: dict[str, _N], attribute: str) -> dict[str, _N]:
    """Return `ours` and the project's `attribute`, by name. Raises ConfigError for a name that is taken."""
    name = project()
    if not name:
        return ours
    root()
    theirs = getattr(importlib.import_module(name), attribute, [])
    for each in theirs:
        if each.name in ours:
            raise ConfigError(f"{each.name} in {name}.{attribute} is adstream's own name", "choose another one")
    return {**ours, **{each.name: each for each in theirs}}


def folder(name: str) -> Path | None:
    """Return the project's folder `name`, if it exists."""
    found = root()
    return found / name if found is not None and (found / name).is_dir() else None


def root() -> Path | None:
    """Return the folder of the project's package, found without importing it. Raises ConfigError if there is none.

    An installed program does not search its working directory for packages. For the project adstream adds that
    directory as the last one, and Spark's Python processes inherit this.
    """
    name = project()
    if not name:
        return None
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), here]))
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"ADSTREAM_PROJECT names {name}, and there is no such package",
            f"run this in the folder that holds {name}/__init__.py, or install it",
        )
    return Path(next(iter(spec.submodule_search_locations)))
