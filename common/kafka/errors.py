"""Translate errors of a Kafka client for users."""

from collections import deque

from confluent_kafka import KafkaError, KafkaException

from common.errors import AccessDenied, AdstreamError, ServiceUnavailable, TopicNotFound
from common.settings import KafkaSettings

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

# A partition has no leader for a moment, or broker and client disagree about the leader, as after a broker's restart.
_NO_LEADER = {
    KafkaError._NOENT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
# No broker answers for a consumer group for a moment: the first group of a new Kafka, or after a broker's restart.
_NO_COORDINATOR = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
BAD_TOPIC = {KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.INVALID_PARTITIONS, KafkaError.TOPIC_EXCEPTION}


class NoLeader(ServiceUnavailable):
    """A partition that no broker leads at the moment."""


class NoCoordinator(ServiceUnavailable):
    """A consumer group for which no broker answers at the moment."""


class ClientErrors:
    """Errors that a client reported in the background (`error_cb`). They say *why* a call timed out.

    librdkafka keeps trying to connect after a refused password, and the waiting call only sees a timeout.
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
        """Return the line for `error`, or for the deeper cause seen before it."""
        for telling in (_REFUSED, _FORBIDDEN, {KafkaError._SSL}):
            for seen in self._seen:
                if seen.code() in telling:
                    return translate(seen, self._settings)
        return translate(error, self._settings)

    def explain_first(self, error: KafkaError) -> AdstreamError:
        """Return the line for a client that never had an answer: a broker that accepts connections may need another
        protocol.

        If nobody accepts a connection, `_TRANSPORT` or `_RESOLVE` say so.
        """
        if error.code() in _UNREACHABLE and {seen.code() for seen in self._seen} == {KafkaError._ALL_BROKERS_DOWN}:
            settings = self._settings
            return ServiceUnavailable(
                f"Kafka at {settings.bootstrap_servers} does not answer {settings.security_protocol} connections",
                "check ADSTREAM_KAFKA_SECURITY_PROTOCOL, or look at the broker's log",
            )
        return self.explain(error)


def kafka_error(error: KafkaException) -> KafkaError:
    """Return the error that the exception carries."""
    cause = error.args[0]
    return cause if isinstance(cause, KafkaError) else KafkaError(KafkaError._FAIL, str(cause))


def fatal(error: KafkaException | SystemError) -> KafkaError:
    """Return the error that ended a producer for good. `poll` and `flush` raise it instead of reporting it.

    A delivery report in the same call turns it into a SystemError. Any other error is raised again.
    """
    cause = error if isinstance(error, KafkaException) else error.__cause__
    if not isinstance(cause, KafkaException):
        raise error
    return kafka_error(cause)


def translate(error: KafkaError, settings: KafkaSettings) -> AdstreamError:
    """Return the user's line for `error`."""
    code, servers = error.code(), settings.bootstrap_servers
    if code in _REFUSED:
        return AccessDenied(
            f"Kafka at {servers} refuses these credentials ({_said(error)})",
            "check ADSTREAM_KAFKA_SASL_USERNAME, ADSTREAM_KAFKA_SASL_PASSWORD and ADSTREAM_KAFKA_SASL_MECHANISM",
        )
    if code in _FORBIDDEN:
        group = "choose another --group, or " if code == KafkaError.GROUP_AUTHORIZATION_FAILED else ""
        return AccessDenied(
            f"Kafka at {servers} does not let {user_of(settings)} do this ({_said(error)})",
            f"{group}set ADSTREAM_KAFKA_SASL_USERNAME to a user with this right",
        )
    if code == KafkaError._SSL:
        return _insecure(error, settings)
    if code in _UNKNOWN_TOPIC:
        return TopicNotFound(f"Kafka at {servers} has no such topic ({error.str()})", "check its name")
    if code in _NO_LEADER:
        return NoLeader(f"a partition in Kafka at {servers} has no leader ({error.str()})", "look at its brokers")
    if code in _UNREACHABLE:
        return ServiceUnavailable(
            f"no Kafka broker answers at {servers}",
            "start one with `adstream up`, or set ADSTREAM_KAFKA_BOOTSTRAP_SERVERS",
        )
    kind = NoCoordinator if code in _NO_COORDINATOR else ServiceUnavailable
    return kind(f"Kafka at {servers} answers {error.name()}: {error.str()}", "look at the broker's log")


def _insecure(error: KafkaError, settings: KafkaSettings) -> AdstreamError:
    servers = settings.bootstrap_servers
    if "certificate verify failed" in (error.str() or ""):
        return AccessDenied(f"the certificate of Kafka at {servers} is not trusted", "check ADSTREAM_KAFKA_SSL_CA_FILE")
    return AccessDenied(
        f"no secure connection to Kafka at {servers} ({_said(error)})",
        "check ADSTREAM_KAFKA_SSL_CA_FILE and ADSTREAM_KAFKA_SECURITY_PROTOCOL",
    )


def user_of(settings: KafkaSettings) -> str:
    """Return the user that the settings name, in words."""
    sasl = settings.security_protocol.startswith("SASL")
    return f"user {settings.sasl_username!r}" if sasl else "a connection without credentials"


def _said(error: KafkaError) -> str:
    """Return the error's text without the connection's name before it and its state behind it."""
    said = (error.str() or error.name()).partition("/bootstrap: ")
    return (said[2] or said[0]).partition(" (after ")[0].rstrip(".")
