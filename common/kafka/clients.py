"""Configuration of every Kafka client, for confluent-kafka and for Spark. Every call has a timeout."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException

from common.errors import ConfigError
from common.kafka.errors import ClientErrors, kafka_error
from common.settings import KafkaSettings

# librdkafka prints fatal errors to stderr at every log level, unless it has a logger. The error is raised here.
UNHEARD = logging.getLogger("adstream.librdkafka")
UNHEARD.addHandler(logging.NullHandler())
UNHEARD.propagate = False


@contextmanager
def taken_settings() -> Iterator[None]:
    """Translate the client's refusal of its settings into a ConfigError, while a block makes a client."""
    try:
        yield
    except KafkaException as error:
        raise ConfigError(
            f"the Kafka settings cannot be used: {kafka_error(error).str()}", "see .env.example"
        ) from None


def client_config(settings: KafkaSettings, errors: ClientErrors | None = None) -> dict[str, Any]:
    """Return the base configuration of every confluent-kafka client of this project.

    `errors` collects the client's errors.

    Raises ServiceUnavailable if the broker of the own stack does not run.
    """
    settings.require()
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "socket.timeout.ms": int(settings.timeout_seconds * 1000),
        "socket.connection.setup.timeout.ms": max(1000, int(settings.timeout_seconds * 1000)),
        "allow.auto.create.topics": False,
        "log_level": 0,  # its own lines on stderr repeat the error callback's, in another style
        "error_cb": errors or ClientErrors(settings),
    }
    if settings.security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": settings.sasl_password.get_secret_value(),
        }
    if settings.security_protocol.endswith("SSL") and settings.ssl_ca_file:
        config["ssl.ca.location"] = str(settings.ssl_ca_file)
    return config


def consumer_config(settings: KafkaSettings, errors: ClientErrors | None = None) -> dict[str, Any]:
    """Return the base configuration of every confluent-kafka consumer of this project. It never commits automatically.

    All readers use one isolation level. librdkafka's default is `read_committed`; the default of the Java client, which
    Spark uses, is `read_uncommitted`. With these defaults two readers of one topic would see different messages.
    """
    return client_config(settings, errors) | {
        "isolation.level": settings.isolation_level,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }


def spark_options(settings: KafkaSettings) -> dict[str, str]:
    """Return `client_config` for Spark's Kafka source and sink. It holds the password, so never log it."""
    settings.require()
    options = {
        "kafka.bootstrap.servers": settings.bootstrap_servers,
        "kafka.security.protocol": settings.security_protocol,
    }
    if settings.security_protocol.startswith("SASL"):
        module = "plain.PlainLoginModule" if settings.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        options["kafka.sasl.mechanism"] = settings.sasl_mechanism
        options["kafka.sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{module} required"
            f" username={jaas_value(settings.sasl_username)}"
            f" password={jaas_value(settings.sasl_password.get_secret_value())};"
        )
    if settings.security_protocol.endswith("SSL") and settings.ssl_ca_file:
        options["kafka.ssl.truststore.type"] = "PEM"
        options["kafka.ssl.truststore.location"] = str(settings.ssl_ca_file)
    return options


def jaas_value(value: str) -> str:
    """Quote a value as an option of a login configuration (JAAS)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
