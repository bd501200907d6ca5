"""Shell completion: names of jobs, sources, topics and contracts.

Typing must not wait for Spark or a broker. So completion reads the catalogues as text, and takes the topics from the
settings. `adstream --install-completion` installs it in the shell.
"""

from collections.abc import Iterable

from adstream.commands import catalogue_text
from common import extensions
from common.errors import AdstreamError


def streams(incomplete: str) -> list[str]:
    """Return the jobs that stream."""
    return _begun(incomplete, (each.name for each in _jobs()))


def batches(incomplete: str) -> list[str]:
    """Return the jobs that run as a batch."""
    return _begun(
        incomplete, (each.name for each in catalogue_text.entries("streaming.iceberg.daily_jobs", "BatchJob"))
    )


def jobs(incomplete: str) -> list[str]:
    """Return all jobs."""
    return streams(incomplete) + batches(incomplete)


def producible(incomplete: str) -> list[str]:
    """Return the names that `adstream produce` accepts: sources of events first, then the jobs that read them."""
    sources = catalogue_text.entries("producer.generators", "Source", "sources")
    return _begun(incomplete, (each.name for each in sources)) + jobs(incomplete)


def verified(incomplete: str) -> list[str]:
    """Return the jobs that `adstream verify` and `adstream backfill` accept."""
    return _begun(incomplete, (each.name for each in _jobs() if each.sets("recounted")))


def validated(incomplete: str) -> list[str]:
    """Return the jobs that `adstream validate` can check."""
    return _begun(incomplete, catalogue_text.keys("streaming.iceberg.validation", "VALIDATIONS"))


def sinks(incomplete: str) -> list[str]:
    """Return the sinks of installed packages."""
    return _begun(incomplete, (each.name for each in extensions.offered(extensions.SINKS)))


def own_options(job: str) -> dict[str, bool] | None:
    """Return the options of the job's pattern, and whether each is a flag; None for an unknown job."""
    return next((each.options() for each in _jobs() if each.name == job), None)


def contracts(incomplete: str) -> list[str]:
    """Return the contracts in schemas/."""
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


def _jobs() -> list[catalogue_text.Entry]:
    return catalogue_text.entries("streaming.jobs", "Job", "jobs")
