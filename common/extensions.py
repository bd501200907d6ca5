"""Jobs, sources and sinks of installed packages, found by their entry points.

| group | what the entry point names |
|---|---|
| `adstream.jobs` | a list of streaming.job.Job, or one of them |
| `adstream.sources` | a list of producer.source.Source, or one of them |
| `adstream.sinks` | a streaming.sinks.sink.Sink, or a function that returns one; the entry point's name is the sink's |

The packages' folders `schemas/` and `cql/` hold their contracts and migrations, as those of a project do
(common.project). A package that the setting ADSTREAM_PROJECT names is the project, and no extension.
"""

from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.settings import project
from common.text.nearest import did_you_mean

JOBS, SOURCES, SINKS = "adstream.jobs", "adstream.sources", "adstream.sinks"


def offered(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, by package and name."""
    found = [each for each in _installed(group) if _package(each) != project()]
    return sorted(found, key=lambda each: (distribution(each), each.name))


def distribution(point: EntryPoint) -> str:
    """Return the name under which the entry point's package was installed."""
    return point.dist.name if point.dist is not None else _package(point)


def each_of(group: str, kind: type) -> Iterator[tuple[str, Any]]:
    """Yield (package, object) for every object of this kind. Raises ConfigError for a broken package."""
    for point in offered(group):
        loaded = _loaded(point)
        for one in loaded if isinstance(loaded, list | tuple) else [loaded]:
            if not isinstance(one, kind):
                raise _broken(point, f"{type(one).__name__} is no {kind.__name__}")
            yield f"{distribution(point)} ({point.value})", one


def sink(name: str) -> Any:  # noqa: ANN401 - a streaming.sinks.sink.Sink, which this package does not know
    """Return the sink of this name. Raises ConfigError with the nearest name, or for a broken package."""
    known = {each.name: each for each in offered(SINKS)}
    point = known.get(name)
    if point is None:
        lists = f"there is {', '.join(known)}" if known else "no installed package offers one"
        raise ConfigError(f"there is no sink {name}", did_you_mean(name, known, lists))
    loaded = _loaded(point)
    made = _run(point, loaded) if isinstance(loaded, type) or not hasattr(loaded, "open") else loaded
    if not callable(getattr(made, "open", None)):
        raise _broken(point, f"{type(made).__name__} has no open(spark, settings, schema)")
    return made


def roots() -> dict[str, Path]:
    """Return top-level package -> its folder, or the file of a single module. Runs no code of a package."""
    found = {}
    for group in (JOBS, SOURCES, SINKS):
        for point in offered(group):
            spec = find_spec(_package(point))
            if spec is None or spec.origin is None:
                raise _broken(point, f"there is no package {_package(point)}")
            places = list(spec.submodule_search_locations or [spec.origin])
            found[_package(point)] = Path(places[0])
    return found


def module_file(point: EntryPoint) -> Path | None:
    """Find the file of the module that an entry point names, without running it."""
    try:
        spec = find_spec(_package(point))
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    parts = point.module.split(".")[1:]
    place = Path(spec.origin).parent.joinpath(*parts)
    files = (place / "__init__.py", place.with_suffix(".py")) if parts else (Path(spec.origin),)
    return next((file for file in files if file.is_file()), None)


@cache
def _installed(group: str) -> EntryPoints:
    """Return the entry points of a group. Reads the metadata of every installed package, and each contract asks."""
    return entry_points(group=group)


def _package(point: EntryPoint) -> str:
    return point.module.partition(".")[0]


def _loaded(point: EntryPoint) -> Any:  # noqa: ANN401
    return _run(point, point.load)


def _run(point: EntryPoint, call: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return the result of the package's `call`. Turns every error of the package into one line."""
    try:
        return call()
    except ConfigError as error:
        raise _broken(point, error.problem) from error
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        raise _broken(point, f"{type(error).__name__}{f': {lines[0]}' if lines else ''}") from error


def _broken(point: EntryPoint, why: str) -> ConfigError:
    package = distribution(point)
    return ConfigError(
        f"package {package} is broken: its {point.group} entry point {point.name} = {point.value}: {why}",
        f"correct the package, or `pip uninstall {package}`",
    )
