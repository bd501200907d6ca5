"""Connections to Cassandra: one place for timeouts, consistency, routing, and translation of errors for users.

Contact points, credentials, local data centre and consistency level come from the settings. Requests go to a replica of
the row in the local data centre, and none waits longer than `timeout_seconds`.

Statements that are safe to repeat, and that say so (`is_idempotent`), may use the profile `HEDGED`. If a node hangs,
the driver then sends such a statement to a second node as well. Statements of the schema must not use it: two nodes
would create the same table at once.
"""

import logging
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    OperationTimedOut,
    RequestExecutionException,
    RequestValidationException,
    Unauthorized,
    UnresolvableContactPoints,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    SpeculativeExecutionPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage, ServerError
from cassandra.protocol import RequestValidationException as RejectedRequest

from common import retries
from common.errors import AccessDenied, AdstreamError, ConfigError, MigrationError, ServiceUnavailable
from common.settings import CassandraSettings

# Cassandra 4.0 and later speak this version. It is fixed, because the driver would otherwise try newer versions first
# and log each.
PROTOCOL_VERSION = 5
RECONNECT_SECONDS = 1.0
HEDGED = "hedged"
# The second node gets a hedged statement after this part of the timeout, and has the rest of the time for its answer.
_HEDGED_AFTER = 0.2
# The driver sends a request in pieces of 4 KiB. Without this option Linux holds the last piece back until the server
# confirms the pieces before it. That takes 40 ms (Nagle's algorithm and delayed acknowledgements).
_SEND_AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]

# Errors that may pass in a moment. Only repeatable statements are retried.
TRANSIENT = (
    NoHostAvailable,
    OperationTimedOut,
    ConnectionException,
    RequestExecutionException,
    OverloadedErrorMessage,
    ServerError,
)
# A statement that the server read and refused; the driver has two families of these errors.
REFUSED = (RequestValidationException, RejectedRequest)
# Everything that the driver raises for a request.
DRIVER_ERRORS = (*TRANSIENT, DriverException, ErrorMessage)

# Cassandra's words for a missing keyspace, table or column.
_MISSING = ("does not exist", "unconfigured table", "Undefined column", "No keyspace", "unknown table")

# The driver logs every refused connection with a traceback. This module raises one line for the user instead.
logging.getLogger("cassandra").setLevel(logging.CRITICAL)


@contextmanager
def connect(settings: CassandraSettings, *, keyspace: str | None = None) -> Iterator[Session]:
    """Open a session, and close it after the block with all that it started. Raises the errors of `open_session`."""
    session = open_session(settings, keyspace=keyspace)
    try:
        yield session
    finally:
        session.cluster.shutdown()


def open_session(settings: CassandraSettings, *, keyspace: str | None = None) -> Session:
    """Open a session for the life of a process. The caller may close it with `session.cluster.shutdown()`.

    Raises ServiceUnavailable if no node answers, AccessDenied for wrong credentials, ConfigError for a data centre or
    keyspace that the cluster does not have.
    """

    settings.require()

    def attempt() -> Session:
        # A cluster object cannot be reused after a failed connect, so each attempt makes a new one.
        try:
            cluster = _cluster(settings)
        except UnresolvableContactPoints as error:
            raise ConfigError(
                f"no address is known for {', '.join(settings.hosts)}", "set ADSTREAM_CASSANDRA_HOSTS"
            ) from error
        try:
            session = cluster.connect()
            if keyspace is not None:
                session.set_keyspace(keyspace)  # separately, because `connect` hides a missing keyspace
            return session
        except BaseException as error:
            known = {str(host.datacenter) for host in cluster.metadata.all_hosts() if host.datacenter}
            cluster.shutdown()
            if not isinstance(error, (*DRIVER_ERRORS, OSError)):
                raise
            if known and settings.local_datacenter not in known:
                raise ConfigError(
                    f"the cluster has no data centre {settings.local_datacenter!r}, only {', '.join(sorted(known))}",
                    "set ADSTREAM_CASSANDRA_LOCAL_DATACENTER to the one nearest to this machine",
                ) from error
            raise explain(error, settings) from error

    return retries.call(attempt, on=ServiceUnavailable)


def require_tables(settings: CassandraSettings, names: Iterable[str]) -> dict[str, Any]:
    """Return `table_metadata` by a connection of its own. Raises MigrationError if the keyspace lacks one."""
    with connect(settings) as session:
        return table_metadata(session, settings, names)


def table_metadata(session: Session, settings: CassandraSettings, names: Iterable[str]) -> dict[str, Any]:
    """Return name -> the driver's metadata of the table. Raises MigrationError if the keyspace lacks one."""
    keyspace = session.cluster.metadata.keyspaces.get(settings.keyspace)
    present = keyspace.tables if keyspace else {}
    found = {}
    for name in names:
        if name not in present:
            raise MigrationError(f"keyspace {settings.keyspace} has no table {name}", "run `adstream migrate`")
        found[name] = present[name]
    return found


def explain(error: Exception, settings: CassandraSettings) -> AdstreamError:
    """Translate a driver's error for the user: one line with a remedy."""
    by_host = error.errors if isinstance(error, NoHostAvailable) else None
    causes = list(by_host.values()) if isinstance(by_host, dict) else [error]
    user = f"user {settings.username!r}" if settings.username else "a connection without credentials"
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        return AccessDenied(
            f"Cassandra refused {user}", "set ADSTREAM_CASSANDRA_USERNAME and ADSTREAM_CASSANDRA_PASSWORD"
        )
    if isinstance(error, Unauthorized):
        return AccessDenied(
            f"Cassandra does not let {user} do this: {server_message(error)}",
            "set ADSTREAM_CASSANDRA_USERNAME to a user with this right",
        )
    if isinstance(error, REFUSED):
        said = server_message(error)
        missing = any(words in said for words in _MISSING)
        return ConfigError(
            f"Cassandra says: {said}",
            "create what is missing with `adstream migrate`" if missing else "look at the tables with `adstream cql`",
        )
    address = settings.address
    if isinstance(error, (RequestExecutionException, ErrorMessage)):
        return ServiceUnavailable(
            f"Cassandra at {address} could not do it: {server_message(error)}", "look at its log and `nodetool status`"
        )
    if isinstance(error, OperationTimedOut):
        return ServiceUnavailable(
            f"Cassandra at {address} did not answer within {settings.timeout_seconds:g} s",
            "look at its load, or raise ADSTREAM_CASSANDRA_TIMEOUT_SECONDS",
        )
    return unreached("; ".join(str(cause) for cause in causes), settings)


def unreached(said: str, settings: CassandraSettings) -> AdstreamError:
    """Translate the driver's errors of all connections into one error, if the driver reached no node."""
    address = settings.address
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return AccessDenied(
            f"the certificate of Cassandra at {address} is not trusted", "check ADSTREAM_CASSANDRA_SSL_CA_FILE"
        )
    if "[SSL" in said:
        return AccessDenied(
            f"no secure connection to Cassandra at {address}",
            "check ADSTREAM_CASSANDRA_PORT, ADSTREAM_CASSANDRA_SSL and ADSTREAM_CASSANDRA_SSL_CA_FILE",
        )
    if not settings.tls and "Connection reset" in said:
        return ServiceUnavailable(
            f"Cassandra at {address} closes the connection",
            "it may want TLS: set ADSTREAM_CASSANDRA_SSL_CA_FILE, or look at its log",
        )
    return ServiceUnavailable(f"no Cassandra node answers at {address}", "start one with `adstream up`")


def server_message(error: Exception | str) -> str:
    """Return the part of a driver's error that the server wrote, without codes."""
    text = str(error)
    quoted = text.partition('message="')[2]
    return quoted.rpartition('"')[0] or text


def credentials(settings: CassandraSettings) -> dict[str, Any]:
    """Return the arguments for the driver's Cluster: our login and, with TLS, the authority to trust.

    Raises ConfigError.
    """
    given: dict[str, Any] = {}
    if settings.username:
        given["auth_provider"] = PlainTextAuthProvider(settings.username, settings.password.get_secret_value())
    if settings.tls:
        try:
            # Also checks the host name: the certificate must have the node's address.
            given["ssl_context"] = ssl.create_default_context(cafile=settings.ssl_ca_file)
        except OSError:
            raise ConfigError(
                f"the CA file {settings.ssl_ca_file} cannot be used", "check ADSTREAM_CASSANDRA_SSL_CA_FILE"
            ) from None
    return given


def _profile(settings: CassandraSettings, second_node: SpeculativeExecutionPolicy | None = None) -> ExecutionProfile:
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.local_datacenter)),
        consistency_level=ConsistencyLevel.name_to_value[settings.consistency],
        request_timeout=settings.timeout_seconds,
        speculative_execution_policy=second_node,
    )


def _cluster(settings: CassandraSettings) -> Cluster:
    hedge = ConstantSpeculativeExecutionPolicy(_HEDGED_AFTER * settings.timeout_seconds, max_attempts=1)
    return Cluster(
        contact_points=settings.hosts,
        port=settings.port,
        **credentials(settings),
        execution_profiles={EXEC_PROFILE_DEFAULT: _profile(settings), HEDGED: _profile(settings, hedge)},
        connection_class=LibevConnection,
        sockopts=_SEND_AT_ONCE,
        protocol_version=PROTOCOL_VERSION,
        connect_timeout=settings.timeout_seconds,
        control_connection_timeout=settings.timeout_seconds,
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        application_name="adstream",
    )
