"""The rights of each role of a secured stack in Kafka: its users for SCRAM, and its access control lists.

The broker's configuration has only the passwords for PLAIN. The admin logs in by PLAIN once, and sets every user's
password for SCRAM, which is the same. So no password is ever in an argument of a program.
"""

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from common.kafka import client_config
from common.provision import ALERTS_CONTRACT, event_topics, marks_spec, topic_of
from common.settings import Settings
from stack.security.secured import Secured

_ITERATIONS = 8192
_SECONDS = 5.0
_READ, _WRITE = AclOperation.READ, AclOperation.WRITE


def grant(settings: Settings, port: int, secured: Secured) -> str | None:
    """Make users and rights match the files and the settings. Returns the problems as text."""
    client = AdminClient(
        {**client_config(secured.kafka(port, sasl_mechanism="PLAIN")), "socket.timeout.ms": int(_SECONDS * 1_000)}
    )
    try:
        client.list_topics(timeout=_SECONDS)  # a refused login ends here, and not after the waits below
        users = client.alter_user_scram_credentials(_users(secured), request_timeout=_SECONDS)
        rights = client.create_acls(_rights(settings), request_timeout=_SECONDS)
        for done in (*users.values(), *rights.values()):
            done.result(timeout=_SECONDS)
    except KafkaException as error:
        return str(error)
    except TimeoutError:
        return f"it did not answer within {_SECONDS:g} s"
    return None


def _users(secured: Secured) -> list[UserScramCredentialAlteration]:
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    return [
        UserScramCredentialUpsertion(name, how, password.encode()) for name, password in secured.kafka_users().items()
    ]


def _rights(settings: Settings) -> list[AclBinding]:
    """Return the access control lists. Rights to read and write let a user see a topic too.

    Only the admin may do anything that is not listed here.
    """
    letters, updates = settings.topic.dead_letters, settings.topic.updates
    alerts = topic_of(settings, ALERTS_CONTRACT)
    events = sorted(event_topics(settings))
    beside = [letters, marks_spec(settings).name, updates]
    return [
        *(_on_topic("producer", topic, _WRITE) for topic in events if topic != alerts),
        *(_on_topic("job", topic, _READ) for topic in (*events, *beside)),
        *(_on_topic("job", topic, AclOperation.DESCRIBE_CONFIGS) for topic in events),  # whose clock stamps it
        *(_on_topic("job", topic, _WRITE) for topic in (letters, updates, alerts)),
        *(_on_topic("consumer", topic, _READ) for topic in (*events, *beside)),
        _on_groups("consumer", "adstream-consume-"),
        _on_groups("job", "adstream-"),
    ]


def _on_topic(user: str, topic: str, operation: AclOperation) -> AclBinding:
    return _right(user, ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, operation)


def _on_groups(user: str, prefix: str) -> AclBinding:
    """Return a user's right to read groups with a default prefix of our own clients."""
    return _right(user, ResourceType.GROUP, prefix, ResourcePatternType.PREFIXED, _READ)


def _right(
    user: str, kind: ResourceType, name: str, pattern: ResourcePatternType, operation: AclOperation
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
