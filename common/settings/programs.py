"""The sections of the programs on this machine: Spark, metrics, the log, the lakehouse, and the local stack."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    NoDecode,
    SettingsConfigDict,
)

from common.errors import ConfigError
from common.settings.section import Section


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = (part.partition("=") for part in value.split(",") if part.strip())
    return {name.strip(): setting.strip() for name, _, setting in pairs}


# `name=value,name=value`
Properties = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]


class SparkSettings(Section):
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
    properties: Properties = Field(default_factory=dict)


class MetricsSettings(Section):
    section = "metrics"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_METRICS_")

    host: str = "127.0.0.1"
    port: Literal["off"] | Annotated[int, Field(ge=0, le=65_535)] = 0

    def on_port(self, text: str) -> "MetricsSettings":
        """Return the same settings with the port of --metrics-port. Raises ConfigError."""
        try:
            return MetricsSettings(host=self.host, port=text)  # type: ignore[arg-type]  # pydantic reads it
        except ValidationError:
            raise ConfigError(
                f"--metrics-port {text} cannot be used", "give a port, 0 for a free one, or off"
            ) from None


class LogSettings(Section):
    section = "log"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_LOG_")

    format: Literal["text", "json"] = "text"


class LakehouseSettings(Section):
    section = "lakehouse"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_LAKEHOUSE_")

    catalog: str = Field(default="lakehouse", pattern=r"^[a-z][a-z0-9_]*$")
    namespace: str = Field(default="demo", pattern=r"^[a-z][a-z0-9_]*$")
    type: Literal["hadoop", "jdbc", "rest", "hive", "glue", "nessie"] = "hadoop"
    uri: str = ""
    warehouse: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    properties: Properties = Field(default_factory=dict)


class StackSettings(Section):
    section = "stack"
    model_config = SettingsConfigDict(env_prefix="ADSTREAM_STACK_")

    kafka_port: int = Field(default=9092, ge=0, le=65_535)
    registry_port: int = Field(default=8081, ge=0, le=65_535)
    cassandra_port: int = Field(default=9042, ge=0, le=65_535)
    kafka_memory: str = Field(default="512m", pattern=r"^\d+[mg]$")
    registry_memory: str = Field(default="384m", pattern=r"^\d+[mg]$")
    cassandra_memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    # With `batch` a write is on disk before it is acknowledged.
    cassandra_sync: Literal["periodic", "batch"] = "periodic"
    spark_port: int = Field(default=7077, ge=0, le=65_535)
    spark_worker_memory: str = Field(default="2g", pattern=r"^\d+[mg]$")
    java_home: Path | None = None
    cache_dir: Path | None = None

    def memory(self, service: str) -> str:
        """Return the memory limit of a service of the stack."""
        limit: str = getattr(self, f"{service}_memory", self.spark_worker_memory)
        return limit
