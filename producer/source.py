"""A source of events: one entry of the catalogue (producer.events)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from common import contracts
from common.contracts import Contract
from common.errors import ConfigError
from common.provision import topic_of
from common.settings import Settings
from producer import broken
from producer.records import Record
from producer.samples import Sample
from producer.timeline import Timeline
from producer.traffic import EventMaker, Keys, Mix, Traffic


@dataclass(frozen=True)
class Source:
    """One kind of events: their contract (whose name is also the topic's), and their generator.

    `key` is the field whose text is the message key; without `keys` every event has its own key. `jobs` are the jobs
    that have their own documented sample; other jobs that read the topic take the first of these samples. `impossible`
    are ways to make an event untrue, in addition to the ways of every source. Events of a source with `json` may also
    be sent as JSON.
    """

    name: str
    contract_name: str
    key: str
    make: EventMaker
    keys: Keys | None
    jobs: Mapping[str, Sample]
    json: bool = False
    impossible: Mapping[str, broken.ValueSpoiler] = field(default_factory=dict)

    @cached_property
    def time_field(self) -> str:
        return contracts.latest(self.contract_name).time_field

    @property
    def broken_values(self) -> dict[str, broken.ValueSpoiler]:
        """Return kind -> a function that makes an event untrue in that way."""
        return {**self.impossible, broken.AHEAD: partial(broken.ahead, self.time_field)}

    def topic(self, settings: Settings) -> str:
        return topic_of(settings, self.contract_name)

    def contract(self, topic: str) -> Contract:
        return replace(contracts.latest(self.contract_name), subject=f"{topic}-value")

    def records(self, seed: int, mix: Mix, timeline: Timeline) -> Iterator[Record]:
        """Yield live events without end. Raises ConfigError unless the contract has the key's field."""
        fields = [each["name"] for each in contracts.latest(self.contract_name).schema["fields"]]
        if self.key not in fields:
            raise ConfigError(
                f"{self.key} is the message key of source {self.name}, and no field of its contract",
                f"give one of {', '.join(fields)}",
            )
        return iter(Traffic(self, seed, mix, timeline))

    def sample(self, job: str) -> Sample:
        """Return the documented data of `job`, or of the first job if `job` has none of its own.

        Raises ConfigError if there is no sample.
        """
        found = self.jobs.get(job) or next(iter(self.jobs.values()), None)
        if found is None:
            raise ConfigError(
                f"{self.name} has no sample", f"generate events: `adstream produce {self.name} --count 100`"
            )
        return found

    def sample_steps(self, job: str, now_ms: int) -> list[list[Record]]:
        """Return the documented data of `job`, step by step."""
        sample = self.sample(job).at(now_ms, self.time_field)
        return [[Record(str(event[self.key]), event, "sample") for event in step] for step in sample.steps]
