"""Settings, typed: from the environment, the file named by `--env-file`, `.env`, the running local stack, then
defaults; the first value found wins.

Every option is `ADSTREAM_<SECTION>_<NAME>` and stands in `.env.example` with one line of explanation. Secrets are
`SecretStr`: they print as `**********`, so a settings object may be logged.

A stack started with `adstream up` leaves its addresses in `<data dir>/stack.json`; they stand in for the defaults, so
that a stack on other ports is found without any setting. Where it does not run, nothing stands in for it: another
installation's services may listen on the default ports (common.own_stack).
"""

import os
import sys
from abc import abstractmethod
from copy import copy
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from common import own_stack
from common.errors import ConfigError, ServiceUnavailable
from common.own_stack import STACK_FILE as STACK_FILE
from common.text.nearest import did_you_mean

ENV_FILE = Path(".env")
ENV_FILE_OPTION = "ADSTREAM_ENV_FILE"
DEFAULT_DATA_DIR = Path(".adstream")


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
    """The package of jobs of one's own (common.project): ADSTREAM_PROJECT, else none."""
    return _configured("ADSTREAM_PROJECT") or ""


def _configured(name: str) -> str | None:
    return os.environ.get(name) or _from_files().get(name)


class _OwnStack(PydanticBaseSettingsSource):
    """What `adstream up` left behind, as the last source before the defaults."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401, ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        section = getattr(self.settings_cls, "section", "")
        nowhere = getattr(self.settings_cls, "nowhere", None)
        if nowhere is None:
            return own_stack.address_of(data_dir(), section)
        named = [field for field in nowhere if field in self.current_state]
        if named:
            options = " and ".join(option_name(self.settings_cls, field) for field in named)
            found = own_stack.find(data_dir(), section)
            return {**(found.addresses if found and found.running else {}), "origin": options}
        found = own_stack.find(data_dir(), section)
        if found is None:
            return {"origin": "the default address"}
        origin = {"origin": f"the stack in {found.folder}"}
        if found.running:
            return {**found.addresses, **origin}
        return {**nowhere, **found.addresses, **origin, "missing": found.remedy, "last": found.last}


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
        return init_settings, env_settings, files, _OwnStack(settings_cls)


_S = TypeVar("_S", bound=_Section)


class _Service(_Section):
    """A section that says where a service is. `nowhere` has the fields of its address, with values that reach nothing.

    `origin` says where the address comes from, for people. `missing` is what to do when the service of the own stack
    does not run, and empty otherwise; `last` is where it ran then.
    """

    title: ClassVar[str]
    one: ClassVar[str]
    nowhere: ClassVar[dict[str, Any]]

    origin: str = Field(default="", repr=False, exclude=True)
    missing: str = Field(default="", repr=False, exclude=True)
    last: str = Field(default="", repr=False, exclude=True)

    @property
    @abstractmethod
    def address(self) -> str:
        """As people write it, without credentials."""

    @property
    def where(self) -> str:
        """What a command says before it changes anything there. Raises as `require`."""
        self.require()
        return f"{self.title} at {self.address} ({self.origin})"

    def require(self) -> None:
        """Every client asks this first. Raises ServiceUnavailable where the service of the own stack does not run."""
        if self.missing:
            option = option_name(type(self), next(iter(self.nowhere)))
            place = self.address or self.last
            at = f" at {place}" if place else ""
            raise ServiceUnavailable(
                f"no {self.one} answers{at}: that of {self.origin} does not run",
                f"{self.missing}, or set {option} to use another one",
            )


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


class KafkaSettings(_Service):
    section, title, one = "kafka", "Kafka", "Kafka broker"
    nowhere: ClassVar[dict[str, Any]] = {"bootstrap_servers": ""}
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_KAFKA_")

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    isolation_level: IsolationLevel = READ_COMMITTED

    @property
    def address(self) -> str:
        return self.bootstrap_servers


class TopicSettings(_Section):
    section = "topic"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_TOPIC_")

    ads: str = "ads_data"
    dead_letters: str = "ads_data.dead-letters"
    updates: str = "ad_metrics.updates"
    partitions: int = Field(default=2, ge=1, le=10_000)
    replication_factor: int = Field(default=1, ge=1, le=10)
    retention_hours: int = Field(default=168, ge=1)
    max_message_bytes: int = Field(default=1_048_588, ge=1_024)


class RegistrySettings(_Service):
    section, title, one = "registry", "the schema registry", "schema registry"
    nowhere: ClassVar[dict[str, Any]] = {"url": ""}
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_REGISTRY_")

    url: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    timeout_seconds: float = Field(default=5.0, gt=0, le=300)
    other_subjects: bool = True

    @property
    def address(self) -> str:
        """The URL without user and password; the option's name where it is no URL."""
        try:
            parts = urlsplit(self.url)
            return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        except ValueError:
            return "ADSTREAM_REGISTRY_URL"


class CassandraSettings(_Service):
    section, title, one = "cassandra", "Cassandra", "Cassandra node"
    nowhere: ClassVar[dict[str, Any]] = {"hosts": (), "port": 9042}
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
    def address(self) -> str:
        return ",".join(f"{host}:{self.port}" for host in self.hosts)

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
    real_time_partitions: int = Field(default=1, ge=1, le=10_000)
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
        names += [option_name(section, field) for field in section.model_fields if field not in _Service.model_fields]
    return names


def option_name(section: type[BaseSettings], field: str) -> str:
    """The name that the environment or `.env` has for a field."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def _load(section: type[_S]) -> _S:
    try:
        return section()
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        name = option_name(section, "_".join(str(part) for part in first["loc"]))
        raise ConfigError(f"{name} cannot be used: {first['msg']}", "see .env.example") from None


def _refuse_unknown_names() -> None:
    known = option_names()
    for name in {**_from_files(), **os.environ}:
        if name.startswith("ADSTREAM_") and name not in (*known, ENV_FILE_OPTION):
            remedy = did_you_mean(name, known, "see .env.example for the names there are")
            raise ConfigError(f"{name} is not a setting", remedy)
