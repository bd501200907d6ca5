"""Create the topics, and register the contracts, before the first event. Safe to run at any time."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from common import contracts
from common.contracts import Contract
from common.kafka import LARGEST_LETTER_BYTES, TopicSpec, create_topics, topic_spec
from common.registry import Registered, RegistryClient
from common.settings import Settings

ADS_CONTRACT = "ads_data"
UPDATES_CONTRACT = "ad_metrics.updates"
ALERTS_CONTRACT = "alerts"


@dataclass(frozen=True)
class Prepared:
    """The topics created by this run, and every contract as registered.

    `warnings` lists steps that the registry refused and that need somebody with more rights.
    """

    new_topics: list[str]
    schemas: list[Registered]
    warnings: list[str]


def prepare(settings: Settings) -> Prepared:
    """Make the topics of contracts, dead letters and replay marks, where missing, and register the contracts.

    Registers every version in `schemas/`, oldest first, under the topic names of the settings. Raises
    SchemaIncompatible if the registry holds something that the next version could not read.
    """
    specs = [topic_spec(settings, topic) for topic in sorted(event_topics(settings))]
    changelog = updates_spec(settings, settings.topic.updates)
    made = create_topics(settings, [*specs, changelog, _dead_letters(settings), marks_spec(settings)])
    named = contracts.names()
    return _prepared(settings, made, [each for name in named for each in _versions(name, topic_of(settings, name))])


def marks_spec(settings: Settings) -> TopicSpec:
    """Return the spec of the topic of replay marks: which dead letters were sent back (adstream.dead_letters).

    The topic keeps the newest mark of each dead letter for ever.
    """
    spec = topic_spec(settings, f"{settings.topic.dead_letters}.replayed")
    return replace(spec, partitions=1, cleanup="compact")


def prepare_topic(settings: Settings, topic: str, contract_name: str) -> Prepared:
    """Make this one topic if it is missing, and register its contract: every version, oldest first."""
    made = create_topics(settings, [topic_spec(settings, topic)])
    return _prepared(settings, made, _versions(contract_name, topic))


def topic_of(settings: Settings, name: str) -> str:
    """Return the topic that carries the contract `name`: of the same name, unless a setting renames it."""
    renamed = {ADS_CONTRACT: settings.topic.ads, UPDATES_CONTRACT: settings.topic.updates}
    return renamed.get(name, name)


def event_topics(settings: Settings) -> set[str]:
    """Return the topics of all contracts, except contracts of rows.

    Jobs judge the events of these topics by their time of arrival.
    """
    return {topic_of(settings, name) for name in contracts.names()} - {settings.topic.updates}


def updates_topic(settings: Settings, job: str) -> str:
    """Return the topic of a job's rows in real-time mode, on their way to its tables."""
    return topic_of(settings, updates_contract(job))


def updates_contract(job: str) -> str:
    """Return the name of the contract of a job's rows."""
    return f"{job.replace('-', '_')}.updates"


def updates_spec(settings: Settings, topic: str) -> TopicSpec:
    """Return the spec of a changelog: it keeps the newest record of each key, until the retention is over."""
    return replace(topic_spec(settings, topic), cleanup="compact,delete")


def sample_topic(job: str, now: datetime) -> str:
    """Return the topic for one run of the job's sample.

    It is new each time, so that its figures depend on nothing else.
    """
    return f"{job}-sample-{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def _dead_letters(settings: Settings) -> TopicSpec:
    """Return the spec of the dead-letter topic.

    A dead letter is larger than its message: it has headers that say why, and is not compressed.
    """
    return replace(topic_spec(settings, settings.topic.dead_letters), max_message_bytes=LARGEST_LETTER_BYTES)


def _versions(name: str, topic: str) -> list[Contract]:
    return [replace(contract, subject=f"{topic}-value") for contract in contracts.history(name)]


def _prepared(settings: Settings, made: list[str], versions: list[Contract]) -> Prepared:
    registry = RegistryClient(settings.registry)
    registered = [registry.put(contract, documentation=False) for contract in versions]
    return Prepared(made, registered, registry.warnings)
