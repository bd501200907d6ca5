"""Cassandra: one node on the loopback address, without its start script."""

import json
from importlib.resources import files
from pathlib import Path

from common.cassandra import session
from common.settings import CassandraSettings
from stack.host.ports import HOST
from stack.security import cassandra_rights
from stack.security.secured import Secured, write_private
from stack.service import Place, Service

_HERE = Path(str(files("stack")))
TIMEOUT_SECONDS = 2.0

# The options of Cassandra 5.0's own start script for Java 17 (conf/jvm17-server.options).
_EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)
JVM_OPTIONS = (
    *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
    *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
    "-Djdk.attach.allowAttachSelf=true",
)
# There is nobody to gossip with.
ALONE = ("-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=0")
# The first user exists at once. Each `up` takes over a password that was changed in a role's file.
_PASSWORDS = ("-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.role_password_update_min_interval_in_ms=0")
# By default a node acknowledges a write, and makes its commit log ready for a replay a tenth of a second later.
_PERIODIC = "commitlog_sync: periodic\ncommitlog_sync_period: 1000ms\n"
_SYNCED = "commitlog_sync: batch\n"


def prepare(place: Place) -> list[str]:
    """Write the configuration and return the command. JMX stays off: nothing here asks for it."""
    place.data.mkdir(parents=True, exist_ok=True)
    configuration = place.data / "cassandra.yaml"
    storage = place.ports["cassandra-storage"]
    own = {
        "native_transport_port": place.ports["cassandra"],
        "storage_port": storage,
        "ssl_storage_port": storage,
        "data_file_directories": [str(place.data / "data")],
        "commitlog_directory": str(place.data / "commitlog"),
        "saved_caches_directory": str(place.data / "saved_caches"),
        "hints_directory": str(place.data / "hints"),
        "cdc_raw_directory": str(place.data / "cdc_raw"),
    }
    if place.secured:
        own |= _secured(place.secured)
    # JSON is valid YAML, and quotes every path.
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in own.items())
    fixed = (_HERE / "cassandra.yaml").read_text(encoding="ascii")
    if place.synced:
        fixed = fixed.replace(_PERIODIC, _SYNCED)
    write_private(configuration, f"{fixed}\n{lines}".encode("ascii"))
    return [
        *(str(place.java), *place.heap(), "-Xms256m", "-Xss512k", "-XX:+UseG1GC", "-XX:MaxDirectMemorySize=256m"),
        *JVM_OPTIONS,
        f"-javaagent:{place.parts / 'cassandra' / 'jamm-0.4.0.jar'}",
        f"-Dcassandra.config={configuration.as_uri()}",
        f"-Dcassandra.storagedir={place.data}",
        f"-Dcassandra.logdir={place.data}",
        f"-Dlogback.configurationFile={(_HERE / 'cassandra-logback.xml').as_uri()}",
        *ALONE,
        *(_PASSWORDS if place.secured else ()),
        *(place.scratch(), "-Dcassandra-foreground=yes"),
        *("-cp", place.classpath("cassandra"), "org.apache.cassandra.service.CassandraDaemon"),
    ]


def _secured(keys: Secured) -> dict[str, object]:
    """Return the options for TLS, for logins, and for rights by role.

    Clients and nodes use TLS; nodes need the services' own certificate.
    """
    pem = {
        "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
        "keystore": str(keys.server),
        "truststore": str(keys.authority),
    }
    return {
        "client_encryption_options": {**pem, "enabled": True, "optional": False, "require_client_auth": False},
        "server_encryption_options": {**pem, "internode_encryption": "all", "require_client_auth": True},
        "authenticator": "PasswordAuthenticator",
        "authorizer": "CassandraAuthorizer",
        "role_manager": "CassandraRoleManager",
    }


def ask(port: int, secured: Secured | None) -> str | None:
    """Run a CQL query with the driver. Cassandra opens its port only when it can answer."""
    from cassandra import DriverException
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
    from cassandra.policies import WhiteListRoundRobinPolicy

    profile = ExecutionProfile(WhiteListRoundRobinPolicy([HOST]), request_timeout=TIMEOUT_SECONDS)
    settings = secured.cassandra(port) if secured else CassandraSettings.of(hosts=(HOST,), port=port)
    cluster = Cluster(
        [HOST],
        port=port,
        **session.credentials(settings),
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=TIMEOUT_SECONDS,
        control_connection_timeout=TIMEOUT_SECONDS,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    try:
        cluster.connect(wait_for_all_pools=True).execute("SELECT release_version FROM system.local").one()
    except NoHostAvailable as error:
        return "; ".join(str(reason) for reason in error.errors.values()) or str(error)
    except (DriverException, OSError) as error:
        return str(error)
    finally:
        cluster.shutdown()
    return None


def address(port: int, _secured: Secured | None) -> dict[str, object]:
    """Return the address in the form of the settings' section."""
    return {"hosts": [HOST], "port": port}


CASSANDRA = Service("cassandra", "Cassandra", ("cassandra-storage",), prepare, ask, address, cassandra_rights.grant)
