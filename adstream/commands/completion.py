"""Shell completion: names of jobs, sources, topics and contracts.

Typing must not wait for Spark or a broker. So completion reads the catalogues as text, and takes the topics from the
settings. `adstream --install-completion` installs it in the shell.
"""

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from common.errors import AdstreamError

VERIFIED = ("ad-metrics",)
VALIDATED = ("sensor-averages", "sensor-moving-averages", "daily-sales")


def streams(incomplete: str) -> list[str]:
    """The jobs that stream."""
    return _begun(incomplete, _catalogue("streaming.jobs", "Job"))


def batches(incomplete: str) -> list[str]:
    """The jobs that run as a batch."""
    return _begun(incomplete, _catalogue("streaming.iceberg.daily_jobs", "BatchJob"))


def jobs(incomplete: str) -> list[str]:
    """All jobs."""
    return streams(incomplete) + batches(incomplete)


def producible(incomplete: str) -> list[str]:
    """Return the names that `adstream produce` accepts: sources of events first, then jobs with a sample."""
    return _begun(incomplete, _catalogue("producer.events", "Source")) + jobs(incomplete)


def verified(incomplete: str) -> list[str]:
    """The jobs that can be verified, and corrected by a backfill."""
    return _begun(incomplete, VERIFIED)


def validated(incomplete: str) -> list[str]:
    """Return the jobs whose tables in the lakehouse can be checked."""
    return _begun(incomplete, VALIDATED)


def contracts(incomplete: str) -> list[str]:
    """The contracts in schemas/."""
    from common import contracts

    try:
        return _begun(incomplete, contracts.names())
    except AdstreamError:
        return []


def topics(incomplete: str) -> list[str]:
    """Return the topics of the contracts and of the dead letters, with their names from the settings."""
    from common.settings import Settings

    try:
        topic = Settings().topic
    except AdstreamError:
        return []
    named = {topic.ads if name == "ads_data" else name for name in contracts("")}
    return _begun(incomplete, sorted({*named, topic.dead_letters}))


def _begun(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _catalogue(module: str, kind: str) -> list[str]:
    """The names in a catalogue, and in the module of a project of one's own: the first argument of each `kind(...)`."""
    from common import project

    files = [Path(spec.origin)] if (spec := find_spec(module)) and spec.origin else []
    try:
        own = project.root()
    except AdstreamError:
        own = None
    if own is not None:
        files.append(own / "__init__.py")
    return list(chain.from_iterable(_called(file, kind) for file in files))


def _called(file: Path, kind: str) -> Iterator[str]:
    try:
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    except (OSError, SyntaxError):
        return
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=called), args=[ast.Constant(value=str(name)), *_]) if called == kind:
                yield name
