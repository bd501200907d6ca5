"""The sections of the services: Kafka and its topics, the registry, Cassandra."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    NoDecode,
    SettingsConfigDict,
)

from common.settings.section import Section, Service

# The messages that a reader of a topic gets: all, or only committed messages and messages outside transactions.
IsolationLevel = Literal["read_committed", "read_uncommitted"]
READ_COMMITTED: IsolationLevel = "read_committed"
READ_UNCOMMITTED: IsolationLevel = "read_uncommitted"


class KafkaSettings(Service):
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


class TopicSettings(Section):
    section = "topic"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_TOPIC_")

    ads: str = "ads_data"
    dead_letters: str = "ads_data.dead-letters"
    updates: str = "ad_metrics.updates"
    partitions: int = Field(default=2, ge=1, le=10_000)
    replication_factor: int = Field(default=1, ge=1, le=10)
    retention_hours: int = Field(default=168, ge=1)
    max_message_bytes: int = Field(default=1_048_588, ge=1_024)


class RegistrySettings(Service):
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


class CassandraSettings(Service):
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
        """An authority implies TLS: without TLS nothing would read its file."""
        return self.ssl or self.ssl_ca_file is not None

    @field_validator("hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
