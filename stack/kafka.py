"""Kafka: one broker that is its own controller (KRaft), on the loopback address."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from importlib.resources import files
from pathlib import Path

from common.errors import StackError
from common.kafka import client_config, jaas_value
from common.settings import KafkaSettings
from stack.host.environment import of_a_service
from stack.host.last_words import telling_line
from stack.host.ports import HOST
from stack.security import certificates, kafka_rights
from stack.security.secured import ADMIN, Secured, private_properties
from stack.service import Place, Service

_HERE = Path(str(files("stack")))
FORMAT_SECONDS = 60.0
_LOGS = "logs"


def prepare(place: Place) -> list[str]:
    """Write the configuration, format the folder the first time, and return the command."""
    configuration = place.data / "kafka.properties"
    place.data.mkdir(parents=True, exist_ok=True)
    broker, controller = place.ports["kafka"], place.ports["kafka-controller"]
    own: dict[str, object] = {
        "log.dirs": _LOGS,  # relative to Kafka's working directory: Kafka divides the value at commas
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
    }
    if place.secured:
        own |= _secured(place.secured, broker, controller)
    private_properties(configuration, (_HERE / "kafka.properties").read_text(encoding="ascii"), own)
    java = [str(place.java), f"-Dlog4j2.configurationFile={(_HERE / 'kafka-log4j2.properties').as_uri()}"]
    if not (place.data / _LOGS / "meta.properties").exists():
        # The heap is set here, so neither the broker's setting nor the user's environment decides it.
        _format([*java, "-Xmx256m", "-cp", place.classpath("kafka")], configuration)
    return [
        *java,
        *place.heap(),
        place.scratch(),
        "-Xms128m",
        "-cp",
        place.classpath("kafka"),
        "kafka.Kafka",
        str(configuration),
    ]


def _secured(keys: Secured, broker: int, controller: int) -> dict[str, object]:
    """Return the options for TLS on both listeners.

    Clients log in; the controller accepts only the services' own certificate.
    """
    users = keys.kafka_users()
    plain = {"username": ADMIN, "password": users[ADMIN], **{f"user_{name}": each for name, each in users.items()}}
    return {
        "listeners": f"CLIENTS://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"CLIENTS://{HOST}:{broker}",
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "CLIENTS",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": _login("plain.PlainLoginModule", plain),
        # The broker keeps these users in its metadata: stack/security/kafka_rights.py puts them there.
        "listener.name.clients.scram-sha-512.sasl.jaas.config": _login("scram.ScramLoginModule", {}),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keys.server,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": keys.authority,
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:CN={certificates.NAME}",
    }


def _login(module: str, options: dict[str, str]) -> str:
    given = "".join(f" {name}={jaas_value(value)}" for name, value in options.items())
    return f"org.apache.kafka.common.security.{module} required{given};"


def _format(java: list[str], configuration: Path) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(configuration)]
    try:
        subprocess.run(
            command,
            cwd=configuration.parent,
            env=of_a_service(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_SECONDS,
            check=True,
            start_new_session=True,  # out of reach of this terminal's Ctrl-C: a half-formatted folder must not exist
        )
    except subprocess.TimeoutExpired:
        problem = f"formatting Kafka's folder took more than {FORMAT_SECONDS:.0f} s"
        raise StackError(problem, "try again when the machine is less busy") from None
    except subprocess.CalledProcessError as failed:
        said = telling_line((failed.stdout + failed.stderr).splitlines())
        raise StackError(f"Kafka's folder could not be formatted: {said}", f"see {configuration}") from None


def ask(port: int, secured: Secured | None) -> str | None:
    """Send a metadata request, as every client does first."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # Nobody needs the client's lines about every refused connection.
    client = AdminClient({**client_config(_settings(port, secured)), "log_level": 0, "socket.timeout.ms": 2000})
    try:
        client.list_topics(timeout=2.0)
    except KafkaException as error:
        return str(error)
    return None


def _settings(port: int, secured: Secured | None) -> KafkaSettings:
    if secured:
        return secured.kafka(port)
    return KafkaSettings.of(bootstrap_servers=f"{HOST}:{port}")


def address(port: int, _secured: Secured | None) -> dict[str, object]:
    """Return the address in the form of the settings' section."""
    return {"bootstrap_servers": f"{HOST}:{port}"}


KAFKA = Service("kafka", "Kafka", ("kafka-controller",), prepare, ask, address, kafka_rights.grant)
