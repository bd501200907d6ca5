"""The catalogue of sources: each source of events (producer.generators), and the samples of jobs."""

import importlib
import pkgutil
from collections.abc import Iterable

from common import project
from common.errors import ConfigError
from common.text.nearest import did_you_mean
from producer import generators
from producer.samples import Sample
from producer.source import Source

_MODULES = sorted(module.name for module in pkgutil.iter_modules(generators.__path__))
_CATALOGUE: list[Source] = [importlib.import_module(f"{generators.__name__}.{name}").SOURCE for name in _MODULES]

SOURCES = project.joined({source.name: source for source in _CATALOGUE}, "SOURCES", Source)
SAMPLES: dict[str, Sample] = {job: sample for source in SOURCES.values() for job, sample in source.jobs.items()}

_BY_JOB = {job: source for source in SOURCES.values() for job in source.jobs}


def known(name: str) -> Source | None:
    """Return the source of this name, or the source that has a sample of the job of this name."""
    return SOURCES.get(name) or _BY_JOB.get(name)


def find(name: str, jobs: Iterable[str] = ()) -> Source:
    """Return the source as `known` does. Raises ConfigError with the nearest name, also of the `jobs`."""
    source = known(name)
    if source is None:
        names = [*SOURCES, *_BY_JOB, *jobs]
        remedy = did_you_mean(name, names, f"there is {', '.join(SOURCES)}; or give a job, as `adstream jobs` lists it")
        raise ConfigError(f"there is nothing called {name} to produce", remedy)
    return source


def of_contract(name: str) -> Source:
    """Return the source of a contract's events. Raises ConfigError if there is none."""
    found = next((source for source in SOURCES.values() if source.contract_name == name), None)
    if found is None:
        raise ConfigError(f"nothing produces events of {name}", f"there is {', '.join(SOURCES)}")
    return found


def job_of(name: str) -> str:
    """Return the job of the sample `name`: the job itself, or the first job of a source."""
    return next(iter(SOURCES[name].jobs), name) if name in SOURCES and name not in SAMPLES else name
