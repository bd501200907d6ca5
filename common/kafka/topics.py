"""Kafka's topics: create, find and describe them.

Only this module creates topics. If a client may create a topic by naming it, a typing error makes an empty topic with
the wrong retention.
"""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from common.errors import AdstreamError, ConfigError, TopicNotFound
from common.kafka.admin import Admin
from common.kafka.errors import BAD_TOPIC, kafka_error, user_of
from common.settings import Settings
from common.text.nearest import did_you_mean

HOUR_MILLIS = 3_600_000

# The size of an unpacked message plus the headers that describe it. A larger one stops the job: otherwise it would be
# lost.
LARGEST_LETTER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class TopicSpec:
    """The settings of a topic to create. The broker's clock stamps every record, so no producer's clock can lie.

    `compact` keeps the newest record of each key for ever, and ignores the retention. `compact,delete` keeps it until
    the retention is over.
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
        # With three replicas one broker may be away, and a message is still on two disks before it is acknowledged.
        copies = {"min.insync.replicas": "2"} if self.replication_factor > 2 else {}
        return NewTopic(
            self.name,
            num_partitions=self.partitions,
            replication_factor=self.replication_factor,
            config={
                "message.timestamp.type": "LogAppendTime",
                "cleanup.policy": self.cleanup,
                **kept,
                **copies,
                "max.message.bytes": str(self.max_message_bytes),
            },
        )


def topic_spec(settings: Settings, name: str) -> TopicSpec:
    """Return the spec of topic `name`, with partitions, replication, retention and message size from the settings."""
    topic = settings.topic
    return TopicSpec(name, topic.partitions, topic.replication_factor, topic.retention_hours, topic.max_message_bytes)


def create_topics(settings: Settings, specs: Iterable[TopicSpec]) -> list[str]:
    """Create missing topics and return their names once the broker shows them; existing ones stay unchanged."""
    admin = Admin(settings.kafka)
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
    """Return every topic that the cluster shows to this user."""
    return sorted(Admin(settings.kafka).topics())


def require_topic(settings: Settings, name: str) -> TopicMetadata:
    """Return the topic's metadata. Raises TopicNotFound with the nearest name."""
    return require_by(settings, Admin(settings.kafka), name)


def require_by(settings: Settings, admin: Admin, name: str) -> TopicMetadata:
    """Do the same as `require_topic` over an existing connection."""
    found = admin.topics()
    if name in found:
        return found[name]
    remedy = did_you_mean(name, found, "create the topics and schemas with `adstream schema register`")
    sasl = settings.kafka.security_protocol.startswith("SASL")
    seen = f" that {user_of(settings.kafka)} may see" if sasl else ""
    raise TopicNotFound(f"Kafka at {settings.kafka.bootstrap_servers} has no topic {name}{seen}", remedy)


def topic_id(settings: Settings, name: str, admin: Admin | None = None) -> str:
    """Return the id of the topic; it changes if the topic is deleted and created again. Raises TopicNotFound."""
    admin = admin or Admin(settings.kafka)
    require_by(settings, admin, name)
    futures = admin.client.describe_topics(TopicCollection([name]), request_timeout=settings.kafka.timeout_seconds)
    return str(admin.result(futures[name]).topic_id)


def stamped_by_producers(settings: Settings, names: Iterable[str]) -> dict[str, bool | None]:
    """Return for each of these topics whether its records have their producers' time (CreateTime), not the broker's.

    None if the broker does not say: not every user may ask, and not every broker supports the question.
    """
    kinds = _configured(Admin(settings.kafka), names, "message.timestamp.type")
    return {name: None if kind is None else kind == "CreateTime" for name, kind in kinds.items()}


def copies_acknowledged(settings: Settings, name: str, admin: Admin | None = None) -> int:
    """Return how many replicas have a message when Kafka acknowledges it; 1 if the broker does not say."""
    found = _configured(admin or Admin(settings.kafka), [name], "min.insync.replicas")[name]
    return 1 if found is None else int(found)


def cluster_id(settings: Settings) -> str:
    """Return the id that the cluster was formatted with."""
    return str(Admin(settings.kafka).metadata().cluster_id)


def _made(admin: Admin, future: "Future[None]") -> None:
    try:
        future.result(timeout=admin.timeout + 1)
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return  # another process made it in the meantime
        if cause.code() in BAD_TOPIC:
            raise ConfigError(
                f"Kafka refuses to make the topic: {cause.str()}", "check the ADSTREAM_TOPIC settings"
            ) from None
        raise admin.explain(cause) from None


def _configured(admin: Admin, names: Iterable[str], option: str) -> dict[str, str | None]:
    """Return an option of each topic; None if the broker does not say."""
    wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    futures = admin.client.describe_configs(wanted, request_timeout=admin.timeout) if wanted else {}
    found: dict[str, str | None] = {}
    for resource, future in futures.items():
        try:
            entry = admin.result(future).get(option)
            found[resource.name] = None if entry is None else entry.value
        except AdstreamError:
            found[resource.name] = None
    return found
