"""All sections together, and the names of all options."""

import os
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from common.errors import ConfigError
from common.settings.environment import DATA_DIR_OPTION, ENV_FILE_OPTION, data_dir, from_files
from common.settings.programs import LakehouseSettings, LogSettings, MetricsSettings, SparkSettings, StackSettings
from common.settings.section import Section, Service, option_name, unusable
from common.settings.services import CassandraSettings, IsolationLevel, KafkaSettings, RegistrySettings, TopicSettings
from common.text.nearest import did_you_mean

_SECTIONS: dict[str, type[Section]] = {
    "kafka": KafkaSettings,
    "topic": TopicSettings,
    "registry": RegistrySettings,
    "cassandra": CassandraSettings,
    "spark": SparkSettings,
    "metrics": MetricsSettings,
    "log": LogSettings,
    "lakehouse": LakehouseSettings,
    "stack": StackSettings,
}

_S = TypeVar("_S", bound=Section)


class Settings:
    """All sections, each read when it is first asked for. Raises ConfigError for a value that cannot be used."""

    def __init__(self) -> None:
        _refuse_unknown_names()
        self.data_dir = data_dir()

    @cached_property
    def kafka(self) -> KafkaSettings:
        return _load(KafkaSettings)

    @cached_property
    def topic(self) -> TopicSettings:
        return _load(TopicSettings)

    @cached_property
    def registry(self) -> RegistrySettings:
        return _load(RegistrySettings)

    @cached_property
    def cassandra(self) -> CassandraSettings:
        return _load(CassandraSettings)

    @cached_property
    def spark(self) -> SparkSettings:
        return _load(SparkSettings)

    @cached_property
    def metrics(self) -> MetricsSettings:
        return _load(MetricsSettings)

    @cached_property
    def log(self) -> LogSettings:
        return _load(LogSettings)

    @cached_property
    def lakehouse(self) -> LakehouseSettings:
        return _load(LakehouseSettings)

    @cached_property
    def stack(self) -> StackSettings:
        return _load(StackSettings)

    def reading(self, level: IsolationLevel) -> "Settings":
        """Return the same settings with another isolation level, which every reader of a topic takes from them."""
        return self.with_kafka(isolation_level=level)

    def with_kafka(self, **changes: Any) -> "Settings":  # noqa: ANN401
        """Return the same settings with other values in the section of Kafka."""
        other = copy(self)
        other.kafka = self.kafka.model_copy(update=changes)
        return other

    @property
    def checkpoints(self) -> Path:
        """The folder of the jobs' checkpoints, by default one by the name of each job."""
        return self.data_dir / "checkpoints"

    @property
    def warehouse(self) -> Path:
        """The place of Iceberg tables, unless the settings name another warehouse."""
        return self.data_dir.absolute() / "warehouse"


def option_names() -> list[str]:
    """Return every name that the environment or `.env` may set, in the order of the sections."""
    names = [DATA_DIR_OPTION, "ADSTREAM_PROJECT"]
    for section in _SECTIONS.values():
        names += [option_name(section, field) for field in section.model_fields if field not in Service.model_fields]
    return names


def check_services() -> None:
    """Raise ConfigError if the environment or a file has a value that a section of the services cannot use.

    Keeps no section: `adstream up` calls this before it changes the addresses.
    """
    for section in (KafkaSettings, TopicSettings, RegistrySettings, CassandraSettings):
        _load(section)


def _load(section: type[_S]) -> _S:
    try:
        return section()
    except ValidationError as invalid:
        raise unusable(section, invalid) from None


def _refuse_unknown_names() -> None:
    known = option_names()
    for name in {**from_files(), **os.environ}:
        if name.startswith("ADSTREAM_") and name not in (*known, ENV_FILE_OPTION):
            remedy = did_you_mean(name, known, "see .env.example for the names there are")
            raise ConfigError(f"{name} is not a setting", remedy)
