"""Kafka from the settings: client configuration for confluent-kafka and Spark, topics and their offsets, errors.

Every call has a timeout. Topics are made here and nowhere else: a client that may create a topic by naming it turns a
typing error into an empty topic with the wrong retention.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from confluent_kafka import IsolationLevel as BrokersLevel
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicMetadata,
)

from common.errors import AccessDenied, AdstreamError, ConfigError, ServiceUnavailable, TopicNotFound
from common.settings import READ_COMMITTED, IsolationLevel, KafkaSettings, Settings
from common.text.moments import to_millis
from common.text.nearest import did_you_mean

T = TypeVar("T")
TOPIC_POLL_SECONDS = 0.1
METADATA_SLICE_SECONDS = 1.0
HOUR_MILLIS = 3_600_000

# Of a message when it is unpacked, and what is said of it. A larger one stops the job, rather than be lost.
LARGEST_LETTER_BYTES = 64 * 1024 * 1024

# What ends a producer is written to stderr whatever the log level, unless it goes to a logger; it is raised here.
UNHEARD = logging.getLogger("adstream.librdkafka")
UNHEARD.addHandler(logging.NullHandler())
UNHEARD.propagate = False

_REFUSED = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}
_FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.REQUEST_TIMED_OUT,
}
_UNKNOWN_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}

# A partition has no leader for a moment, or brokers and clients differ on who it is, as after a broker came back.
_NO_LEADER = {
    KafkaError._NOENT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
_BAD_TOPIC = {KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.INVALID_PARTITIONS, KafkaError.TOPIC_EXCEPTION}


class _NoLeader(ServiceUnavailable):
    """A partition that no broker leads at the moment."""


class ClientErrors:
    """What a client reported in the background (`error_cb`), to tell *why* a call timed out.

    librdkafka keeps trying to connect after a refused password, and the call that waits for it sees a timeout only.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._seen: deque[KafkaError] = deque(maxlen=32)

    def __call__(self, error: KafkaError) -> None:
        self._seen.append(error)

    def any(self) -> bool:
        return bool(self._seen)

    def clear(self) -> None:
        self._seen.clear()

    def explain(self, error: KafkaError) -> AdstreamError:
        """The one line for `error`, or for the deeper cause seen before it."""
        for telling in (_REFUSED, _FORBIDDEN, {KafkaError._SSL}):
            for seen in self._seen:
                if seen.code() in telling:
                    return translate(seen, self._settings)
        return translate(error, self._settings)

    def explain_first(self, error: KafkaError) -> AdstreamError:
        """The same for a client that never had an answer: a broker that can be connected to may want another protocol.

        When it cannot be, `_TRANSPORT` or `_RESOLVE` say so.
        """
        if error.code() in _UNREACHABLE and {seen.code() for seen in self._seen} == {KafkaError._ALL_BROKERS_DOWN}:
            settings = self._settings
            return ServiceUnavailable(
                f"Kafka at {settings.bootstrap_servers} does not answer {settings.security_protocol} connections",
                "check ADSTREAM_KAFKA_SECURITY_PROTOCOL, or look at the broker's log",
            )
        return self.explain(error)


@contextmanager
def taken_settings() -> Iterator[None]:
    """Within, a client is made. Raises ConfigError where it does not take its settings."""
    try:
        yield
    except KafkaException as error:
        raise ConfigError(
            f"the Kafka settings cannot be used: {kafka_error(error).str()}", "see .env.example"
        ) from None


def client_config(settings: KafkaSettings, errors: ClientErrors | None = None) -> dict[str, Any]:
    """What every confluent-kafka client of this project starts from; `errors` collects what it reports.

    Raises ServiceUnavailable where the broker of the own stack does not run.
    """
    settings.require()
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "socket.timeout.ms": int(settings.timeout_seconds * 1000),
        "socket.connection.setup.timeout.ms": max(1000, int(settings.timeout_seconds * 1000)),
        "allow.auto.create.topics": False,
        "log_level": 0,  # its own lines on stderr repeat what the error callback says, in another style
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
    """What every confluent-kafka consumer of this project starts from: it commits nothing by itself.

    All readers take one isolation level. librdkafka's own default is `read_committed`, that of Java's client, which
    Spark uses, is `read_uncommitted`: left alone, two readers of one topic would see different messages.
    """
    return client_config(settings, errors) | {
        "isolation.level": settings.isolation_level,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }


def spark_options(settings: KafkaSettings) -> dict[str, str]:
    """As `client_config`, for Spark's Kafka source and sink; holds the password, so never log it."""
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
    """Quoted as an option in a configuration of a login (JAAS)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kafka_error(error: KafkaException) -> KafkaError:
    """The error that the exception carries."""
    cause = error.args[0]
    return cause if isinstance(cause, KafkaError) else KafkaError(KafkaError._FAIL, str(cause))


def fatal(error: KafkaException | SystemError) -> KafkaError:
    """The error that ended a producer for good, which `poll` and `flush` raise instead of reporting it.

    A delivery report that comes in the same call turns it into a SystemError. Raises what is neither.
    """
    cause = error if isinstance(error, KafkaException) else error.__cause__
    if not isinstance(cause, KafkaException):
        raise error
    return kafka_error(cause)


def translate(error: KafkaError, settings: KafkaSettings) -> AdstreamError:
    """The one line that a user gets for `error`."""
    code, servers = error.code(), settings.bootstrap_servers
    if code in _REFUSED:
        return AccessDenied(
            f"Kafka at {servers} refuses these credentials ({_said(error)})",
            "check ADSTREAM_KAFKA_SASL_USERNAME, ADSTREAM_KAFKA_SASL_PASSWORD and ADSTREAM_KAFKA_SASL_MECHANISM",
        )
    if code in _FORBIDDEN:
        group = "choose another --group, or " if code == KafkaError.GROUP_AUTHORIZATION_FAILED else ""
        return AccessDenied(
            f"Kafka at {servers} does not let {_user(settings)} do this ({_said(error)})",
            f"{group}set ADSTREAM_KAFKA_SASL_USERNAME to a user with this right",
        )
    if code == KafkaError._SSL:
        return _insecure(error, settings)
    if code in _UNKNOWN_TOPIC:
        return TopicNotFound(f"Kafka at {servers} has no such topic ({error.str()})", "check its name")
    if code in _NO_LEADER:
        return _NoLeader(f"a partition in Kafka at {servers} has no leader ({error.str()})", "look at its brokers")
    if code in _UNREACHABLE:
        return ServiceUnavailable(
            f"no Kafka broker answers at {servers}",
            "start one with `adstream up`, or set ADSTREAM_KAFKA_BOOTSTRAP_SERVERS",
        )
    return ServiceUnavailable(f"Kafka at {servers} answers {error.name()}: {error.str()}", "look at the broker's log")


def _insecure(error: KafkaError, settings: KafkaSettings) -> AdstreamError:
    servers = settings.bootstrap_servers
    if "certificate verify failed" in (error.str() or ""):
        return AccessDenied(f"the certificate of Kafka at {servers} is not trusted", "check ADSTREAM_KAFKA_SSL_CA_FILE")
    return AccessDenied(
        f"no secure connection to Kafka at {servers} ({_said(error)})",
        "check ADSTREAM_KAFKA_SSL_CA_FILE and ADSTREAM_KAFKA_SECURITY_PROTOCOL",
    )


def _user(settings: KafkaSettings) -> str:
    sasl = settings.security_protocol.startswith("SASL")
    return f"user {settings.sasl_username!r}" if sasl else "a connection without credentials"


def _said(error: KafkaError) -> str:
    """Its words without the connection's name before them and its state behind."""
    said = (error.str() or error.name()).partition("/bootstrap: ")
    return (said[2] or said[0]).partition(" (after ")[0].rstrip(".")


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it is to be made. The broker's clock stamps every record, so no producer's clock can lie.

    `compact` keeps the newest record of each key for ever, and does not use the retention. `compact,delete` keeps it
    until the retention is over.
    """

    name: str
    partitions: int
    replication_factor: int
    retention_hours: int
    max_message_bytes: int
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"

    def new_topic(self) -> NewTopic:
        retention = {"retention.ms": str(self.retention_hours * HOUR_MILLIS)}
        kept = {} if self.cleanup == "compact" else retention
        return NewTopic(
            self.name,
            num_partitions=self.partitions,
            replication_factor=self.replication_factor,
            config={
                "message.timestamp.type": "LogAppendTime",
                "cleanup.policy": self.cleanup,
                **kept,
                "max.message.bytes": str(self.max_message_bytes),
            },
        )


def topic_spec(settings: Settings, name: str) -> TopicSpec:
    """The topic `name` with the partitions, replication, retention and message size of the settings."""
    topic = settings.topic
    return TopicSpec(name, topic.partitions, topic.replication_factor, topic.retention_hours, topic.max_message_bytes)


def create_topics(settings: Settings, specs: Iterable[TopicSpec]) -> list[str]:
    """Make the topics that are missing and return their names once the broker shows them; others stay as they are."""
    admin = _Admin(settings.kafka)
    wanted = list(specs)
    present = admin.topics()
    missing = [spec for spec in wanted if spec.name not in present]
    if missing:
        timeout = settings.kafka.timeout_seconds
        futures = admin.client.create_topics(
            [spec.new_topic() for spec in missing], operation_timeout=timeout, request_timeout=timeout
        )
        for future in futures.values():
            _made(admin, future)
        admin.wait_for({spec.name for spec in missing})
    return [spec.name for spec in missing]


def topic_names(settings: Settings) -> list[str]:
    """Every topic that the cluster shows to this user."""
    return sorted(_Admin(settings.kafka).topics())


def require_topic(settings: Settings, name: str) -> TopicMetadata:
    """The topic's metadata. Raises TopicNotFound with the nearest name there is."""
    return _required(settings, _Admin(settings.kafka), name)


def _required(settings: Settings, admin: "_Admin", name: str) -> TopicMetadata:
    found = admin.topics()
    if name in found:
        return found[name]
    remedy = did_you_mean(name, found, "create the topics and schemas with `adstream schema register`")
    sasl = settings.kafka.security_protocol.startswith("SASL")
    seen = f" that {_user(settings.kafka)} may see" if sasl else ""
    raise TopicNotFound(f"Kafka at {settings.kafka.bootstrap_servers} has no topic {name}{seen}", remedy)


def begin_offsets(settings: Settings, name: str) -> dict[int, int]:
    """The first offset still kept, by partition. Raises TopicNotFound."""
    return _offsets(settings, name, OffsetSpec.earliest())


def end_offsets(
    settings: Settings, name: str, level: IsolationLevel | None = None, admin: "_Admin | None" = None
) -> dict[int, int]:
    """The offset before which a reader is given messages, by partition; `level` is the settings' unless given.

    With `read_uncommitted` that is the high watermark: the offset that the next record will get. With `read_committed`
    it is the last stable offset: where the first open transaction begins, or else the high watermark, too. Raises
    TopicNotFound.
    """
    return _offsets(settings, name, OffsetSpec.latest(), level, admin)


def offsets_at(settings: Settings, name: str, moment: datetime) -> dict[int, int]:
    """The first offset with this broker time or a later one, by partition; the end where there is none so young."""
    ends = end_offsets(settings, name)
    found = _offsets(settings, name, OffsetSpec.for_timestamp(to_millis(moment)))
    return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}


def topic_id(settings: Settings, name: str, admin: "_Admin | None" = None) -> str:
    """The id of this very topic: another one after it was deleted and made again. Raises TopicNotFound."""
    admin = admin or _Admin(settings.kafka)
    _required(settings, admin, name)
    futures = admin.client.describe_topics(TopicCollection([name]), request_timeout=settings.kafka.timeout_seconds)
    return str(admin.result(futures[name]).topic_id)


def connected(settings: KafkaSettings) -> "_Admin":
    """A connection for whoever asks `end_offsets` or `topic_id` again and again."""
    return _Admin(settings)


def stamped_by_producers(settings: Settings, names: Iterable[str]) -> dict[str, bool | None]:
    """For each of these topics whether its records carry their producers' time (CreateTime) and not the broker's.

    None where the broker does not tell: not every user may ask, and not every broker knows the question.
    """
    admin = _Admin(settings.kafka)
    wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    futures = admin.client.describe_configs(wanted, request_timeout=admin.timeout) if wanted else {}
    found: dict[str, bool | None] = {}
    for resource, future in futures.items():
        try:
            kind = admin.result(future).get("message.timestamp.type")
            found[resource.name] = None if kind is None else kind.value == "CreateTime"
        except AdstreamError:
            found[resource.name] = None
    return found


def cluster_id(settings: Settings) -> str:
    """The id that the cluster was formatted with."""
    return str(_Admin(settings.kafka).metadata().cluster_id)


def _offsets(
    settings: Settings,
    name: str,
    spec: OffsetSpec,
    level: IsolationLevel | None = None,
    admin: "_Admin | None" = None,
) -> dict[int, int]:
    admin = admin or _Admin(settings.kafka)
    partitions = _required(settings, admin, name).partitions
    wanted = {TopicPartition(name, partition): spec for partition in partitions}
    committed = (level or settings.kafka.isolation_level) == READ_COMMITTED
    end = time.monotonic() + settings.kafka.timeout_seconds
    while True:
        futures = admin.client.list_offsets(
            wanted,
            isolation_level=BrokersLevel.READ_COMMITTED if committed else BrokersLevel.READ_UNCOMMITTED,
            request_timeout=settings.kafka.timeout_seconds,
        )
        try:
            found = {at.partition: admin.result(future) for at, future in futures.items()}
        except _NoLeader:
            if time.monotonic() >= end:
                raise
            time.sleep(TOPIC_POLL_SECONDS)
        else:
            return {partition: found[partition].offset for partition in sorted(found)}  # type: ignore[attr-defined]


def _made(admin: "_Admin", future: "Future[None]") -> None:
    try:
        future.result(timeout=admin.timeout + 1)
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return  # somebody else made it in the meantime
        if cause.code() in _BAD_TOPIC:
            raise ConfigError(
                f"Kafka refuses to make the topic: {cause.str()}", "check the ADSTREAM_TOPIC settings"
            ) from None
        raise admin.explain(cause) from None


class _Admin:
    """One admin connection, with its timeout and its translated errors; it may be kept and asked again."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.timeout = settings.timeout_seconds
        self._errors = ClientErrors(settings)
        with taken_settings():
            self.client = AdminClient(client_config(settings, self._errors))

    def metadata(self) -> ClusterMetadata:
        """All topics. The client itself goes on connecting within the timeout, but a refusal ends the wait at once."""
        end = time.monotonic() + self.timeout
        while True:
            try:
                return self.client.list_topics(timeout=min(METADATA_SLICE_SECONDS, self.timeout))
            except KafkaException as error:
                self.client.poll(0)
                problem = self._errors.explain_first(kafka_error(error))
                if not isinstance(problem, ServiceUnavailable) or time.monotonic() >= end:
                    raise problem from None

    def result(self, future: "Future[T]") -> T:
        try:
            return future.result(timeout=self.timeout + 1)
        except KafkaException as error:
            raise self.explain(kafka_error(error)) from None
        except TimeoutError:
            raise self.explain(KafkaError(KafkaError._TIMED_OUT)) from None

    def explain(self, error: KafkaError) -> AdstreamError:
        self.client.poll(0)  # delivers what the connection reported to the error callback
        return self._errors.explain(error)

    def topics(self) -> dict[str, TopicMetadata]:
        return self.metadata().topics

    def wait_for(self, names: set[str]) -> None:
        end = time.monotonic() + self.timeout
        while not names <= self.topics().keys():
            if time.monotonic() > end:
                raise ServiceUnavailable(f"Kafka does not show the new topics {sorted(names)}", "look at its log")
            time.sleep(TOPIC_POLL_SECONDS)
