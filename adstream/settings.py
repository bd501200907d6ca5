"""Settings, typed: from the environment, the file named by `--env-file`, `.env`, the running local stack, then
defaults; the first value found wins.

Every option is `ADSTREAM_<SECTION>_<NAME>` and stands in `.env.example` with one line of explanation. Secrets are
`SecretStr`: they print as `**********`, so a settings object may be logged.

A stack started with `adstream up` leaves its addresses in `<data dir>/stack.json`; they stand in for the defaults, so
that a stack on other ports is found without any setting.
"""

import json
import os
import sys
from copy import copy
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from adstream.errors import ConfigError
from adstream.nearest import did_you_mean

ENV_FILE = Path(".env")
ENV_FILE_OPTION = "ADSTREAM_ENV_FILE"
DEFAULT_DATA_DIR = Path(".adstream")
STACK_FILE = "stack.json"


def env_files() -> list[Path]:
    """The files of settings, of which the last goes first: `.env`, and what `--env-file` or ADSTREAM_ENV_FILE names.

    Named by the environment, so that processes started from here read the same. Raises ConfigError.
    """
    named = os.environ.get(ENV_FILE_OPTION)
    if not named:
        return [ENV_FILE]
    if not os.access(named, os.R_OK) or not Path(named).is_file():
        raise ConfigError(f"the file of settings {named} cannot be read", "correct --env-file or ADSTREAM_ENV_FILE")
    return [ENV_FILE, Path(named)]


def _from_files() -> dict[str, str | None]:
    return {name: value for file in env_files() for name, value in dotenv_values(file).items()}


def data_dir() -> Path:
    """Where the local stack and the jobs keep their data: ADSTREAM_DATA_DIR, else `.adstream` in this folder."""
    return Path(_configured("ADSTREAM_DATA_DIR") or DEFAULT_DATA_DIR)


def project() -> str:
    """The package of jobs of one's own (adstream.project): ADSTREAM_PROJECT, else none."""
    return _configured("ADSTREAM_PROJECT") or ""


def _configured(name: str) -> str | None:
    return os.environ.get(name) or _from_files().get(name)


class _RunningStack(PydanticBaseSettingsSource):
    """The addresses that `adstream up` left behind, as the last source before the defaults."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401, ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        section = getattr(self.settings_cls, "section", "")
        try:
            addresses = json.loads((data_dir() / STACK_FILE).read_text(encoding="utf-8")).get("addresses", {})
        except (OSError, ValueError):
            return {}
        known: dict[str, Any] = addresses.get(section, {})
        return known


class _Section(BaseSettings):
    section: ClassVar[str] = ""
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = DotEnvSettingsSource(settings_cls, env_file=env_files())
        return init_settings, env_settings, files, _RunningStack(settings_cls)


_S = TypeVar("_S", bound=_Section)


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = (part.partition("=") for part in value.split(",") if part.strip())
    return {name.strip(): setting.strip() for name, _, setting in pairs}


# What a reader of a topic is given: all messages, or only those that belong to no transaction or to a committed one.
IsolationLevel = Literal["read_committed", "read_uncommitted"]
READ_COMMITTED: IsolationLevel = "read_committed"
READ_UNCOMMITTED: IsolationLevel = "read_uncommitted"

# `name=value,name=value`
Properties = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]


class KafkaSettings(_Section):
    section = "kafka"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_KAFKA_")

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    isolation_level: IsolationLevel = READ_COMMITTED


class TopicSettings(_Section):
    section = "topic"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_TOPIC_")

    ads: str = "ads_data"
    dead_letters: str = "ads_data.dead-letters"
    partitions: int = Field(default=2, ge=1, le=10_000)
    replication_factor: int = Field(default=1, ge=1, le=10)
    retention_hours: int = Field(default=168, ge=1)
    max_message_bytes: int = Field(default=1_048_588, ge=1_024)


class RegistrySettings(_Section):
    section = "registry"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_REGISTRY_")

    url: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    timeout_seconds: float = Field(default=5.0, gt=0, le=300)


class CassandraSettings(_Section):
    section = "cassandra"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_CASSANDRA_")

    hosts: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1",)
    port: int = Field(default=9042, ge=1, le=65_535)
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl: bool = False
    ssl_ca_file: Path | None = None
    keyspace: str = Field(default="ads", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    replication: str = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    local_datacenter: str = "datacenter1"
    consistency: Literal["ONE", "LOCAL_ONE", "QUORUM", "LOCAL_QUORUM", "ALL"] = "LOCAL_QUORUM"
    window_ttl_days: int = Field(default=30, ge=1, le=7_300)
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)

    @property
    def tls(self) -> bool:
        """Whoever names an authority wants TLS: without it the file would not be looked at."""
        return self.ssl or self.ssl_ca_file is not None

    @field_validator("hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class SparkSettings(_Section):
    section = "spark"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_SPARK_")

    master: str = "local[2]"
    driver_memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(default=2, ge=1, le=10_000)
    state_store: Literal["rocksdb", "memory"] = "rocksdb"
    count_state_rows: bool = False
    max_events_per_batch: int = Field(default=500_000, ge=1)
    ui: bool = True
    log_level: Literal["ERROR", "WARN", "INFO", "DEBUG"] = "WARN"
    executor_python: str = f"python{sys.version_info.major}.{sys.version_info.minor}"
    properties: Properties = {}


class MetricsSettings(_Section):
    section = "metrics"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_METRICS_")

    host: str = "127.0.0.1"
    port: Literal["off"] | Annotated[int, Field(ge=0, le=65_535)] = 0

    def on_port(self, text: str) -> "MetricsSettings":
        """The same with the port of --metrics-port. Raises ConfigError."""
        try:
            return MetricsSettings(host=self.host, port=text)  # type: ignore[arg-type]  # pydantic reads it
        except ValidationError:
            raise ConfigError(
                f"--metrics-port {text} cannot be used", "give a port, 0 for a free one, or off"
            ) from None


class LogSettings(_Section):
    section = "log"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_LOG_")

    format: Literal["text", "json"] = "text"


class LakehouseSettings(_Section):
    section = "lakehouse"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_LAKEHOUSE_")

    catalog: str = Field(default="lakehouse", pattern=r"^[a-z][a-z0-9_]*$")
    namespace: str = Field(default="demo", pattern=r"^[a-z][a-z0-9_]*$")
    type: Literal["hadoop", "jdbc", "rest", "hive", "glue", "nessie"] = "hadoop"
    uri: str = ""
    warehouse: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    properties: Properties = {}


class StackSettings(_Section):
    section = "stack"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_STACK_")

    kafka_port: int = Field(default=9092, ge=0, le=65_535)
    registry_port: int = Field(default=8081, ge=0, le=65_535)
    cassandra_port: int = Field(default=9042, ge=0, le=65_535)
    kafka_memory: str = Field(default="512m", pattern=r"^\d+[mg]$")
    registry_memory: str = Field(default="384m", pattern=r"^\d+[mg]$")
    cassandra_memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    spark_port: int = Field(default=7077, ge=0, le=65_535)
    spark_worker_memory: str = Field(default="2g", pattern=r"^\d+[mg]$")
    java_home: Path | None = None
    cache_dir: Path | None = None

    def memory(self, service: str) -> str:
        """The limit of a service of the stack."""
        limit: str = getattr(self, f"{service}_memory", self.spark_worker_memory)
        return limit


_SECTIONS: dict[str, type[_Section]] = {
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
        """The same settings with another isolation level, which every reader of a topic takes from them."""
        return self.with_kafka(isolation_level=level)

    def with_kafka(self, **changes: Any) -> "Settings":  # noqa: ANN401
        """The same settings with other values in the section of Kafka."""
        other = copy(self)
        other.kafka = self.kafka.model_copy(update=changes)
        return other

    @property
    def checkpoints(self) -> Path:
        """The folder of the jobs' checkpoints, one by the name of each job unless told otherwise."""
        return self.data_dir / "checkpoints"

    @property
    def warehouse(self) -> Path:
        """Where Iceberg tables lie unless the settings name another warehouse."""
        return self.data_dir.absolute() / "warehouse"

    @property
    def window_ttl(self) -> timedelta:
        return timedelta(days=self.cassandra.window_ttl_days)


def option_names() -> list[str]:
    """Every name that the environment or `.env` may set, in the order of the sections."""
    names = ["ADSTREAM_DATA_DIR", "ADSTREAM_PROJECT"]
    for section in _SECTIONS.values():
        prefix = section.model_config.get("env_prefix", "")
        names += [f"{prefix}{field}".upper() for field in section.model_fields]
    return names


def _load(section: type[_S]) -> _S:
    try:
        return section()
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        prefix = section.model_config.get("env_prefix", "")
        name = f"{prefix}{'_'.join(str(part) for part in first['loc'])}".upper()
        raise ConfigError(f"{name} cannot be used: {first['msg']}", "see .env.example") from None


def _refuse_unknown_names() -> None:
    known = option_names()
    for name in {**_from_files(), **os.environ}:
        if name.startswith("ADSTREAM_") and name not in (*known, ENV_FILE_OPTION):
            remedy = did_you_mean(name, known, "see .env.example for the names there are")
            raise ConfigError(f"{name} is not a setting", remedy)
