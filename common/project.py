"""A user's project: a Python package named by ADSTREAM_PROJECT, in this folder or installed.

Its `JOBS` (streaming.job.Job) join the catalogue. Its `SOURCES` (producer.source.Source) join the sources of `produce`.
Its folders `schemas/` and `cql/` hold its contracts and migrations. All of these are optional. Without the setting
there is no project, and nothing is imported.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from common import extensions
from common.errors import AdstreamError, ConfigError
from common.settings import project
from common.system.user_code import error_place, error_text


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)
_GROUPS = {"JOBS": extensions.JOBS, "SOURCES": extensions.SOURCES}


def joined(ours: dict[str, _N], attribute: str, kind: type = object) -> dict[str, _N]:
    """Return `ours`, the project's `attribute`, and the same kind of objects of installed packages, by name.

    Raises ConfigError for a name that is taken, and for a broken project or package.
    """
    found: dict[str, _N] = {}
    by: dict[str, str] = {}
    for offered_by, each in (*_of_project(attribute, kind), *extensions.each_of(_GROUPS[attribute], kind)):
        if each.name in ours:
            raise ConfigError(f"{each.name} in {offered_by} is adstream's own name", "choose another one")
        if each.name in by:
            raise ConfigError(f"{each.name} in {offered_by} is a name of {by[each.name]}, too", "choose another one")
        found[each.name], by[each.name] = each, offered_by
    return {**ours, **found} if found else ours


def _of_project(attribute: str, kind: type) -> list[tuple[str, Any]]:
    name, place = project(), root()
    if not name or place is None:
        return []
    found = getattr(_imported(name, place), attribute, [])
    for each in found if isinstance(found, list | tuple) else [found]:
        if not isinstance(each, kind):
            raise ConfigError(f"{name}.{attribute} holds {each!r:.100}", f"make it a list of {kind.__name__}")
    if not isinstance(found, list | tuple):
        raise ConfigError(f"{name}.{attribute} is no list", f"make it a list of {kind.__name__}")
    return [(f"{name}.{attribute}", each) for each in found]


def _imported(name: str, place: Path) -> ModuleType:
    """Import the project. Turns every error of its code into one line with the place of the error."""
    try:
        return importlib.import_module(name)
    except AdstreamError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the project {name} cannot be imported: {error_text(error)}", f"correct {error_place(error, place)}"
        ) from error


def folder(name: str) -> Path | None:
    """Return the project's folder `name`, if it exists."""
    found = root()
    return found / name if found is not None and (found / name).is_dir() else None


def folders(name: str) -> dict[str, Path]:
    """Return package -> its folder `name`: the project first, then installed packages.

    Leaves out packages without one.
    """
    return {package: place / name for package, place in roots().items() if (place / name).is_dir()}


def roots() -> dict[str, Path]:
    """Return package -> its folder or file: the project first, then the installed packages."""
    own = root()
    return {**({} if own is None else {project(): own}), **extensions.roots()}


def root() -> Path | None:
    """Return the folder of the project's package, found without importing it. Raises ConfigError if there is none.

    An installed program does not search its working directory for packages. For the project adstream adds that
    directory.
    """
    name = project()
    if not name:
        return None
    sys.path += [entry for entry in _places() if entry not in sys.path]
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"ADSTREAM_PROJECT names {name}, and there is no such package",
            f"run this in the folder that holds {name}/__init__.py, or install it",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def python_path() -> str:
    """Return the PYTHONPATH of Spark's Python processes on this machine. They import the project's functions, too."""
    named = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, [named, *(_places() if project() else ())]))


def _places() -> tuple[str, str]:
    """Return the folder of adstream's packages and, after it, the working directory.

    In this order a package of the user's beside the project, called `producer` for example, hides none of ours.
    """
    return str(Path(__file__).parents[1]), str(Path.cwd())
