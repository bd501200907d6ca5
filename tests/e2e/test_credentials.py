"""Right and wrong credentials, for a broker with SASL/SCRAM and for a registry that refuses."""

import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from common.kafka import spark_options
from common.settings import KafkaSettings, Settings
from stack import parts
from stack.host import processes
from stack.host.java import find_java
from stack.host.ports import HOST
from stack.host.properties import properties
from tests.e2e.commands import adstream, free_port, new_topic, one_line

PASSWORD = 'se"cret\\1'


@dataclass(frozen=True)
class Guarded:
    """The environment of a client of the broker, with the right and with a wrong password."""

    right: dict[str, str]
    wrong: dict[str, str]


@pytest.fixture(scope="module")
def guarded(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A broker of its own, because the local stack's broker asks nobody for a password."""
    folder = tmp_path_factory.mktemp("guarded")
    port, controller = free_port(), free_port()
    configuration = folder / "kafka.properties"
    own = {
        "log.dirs": folder / "logs",
        "listeners": f"SASL://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"SASL://{HOST}:{port}",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listener.security.protocol.map": "SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required"
            ' username="admin" password="admin-password";'
        ),
    }
    shipped = (Path(parts.__file__).parent / "kafka.properties").read_text(encoding="ascii")
    configuration.write_text(shipped + properties(own), encoding="ascii")
    java = str(find_java(stack.stack.java_home).executable)
    classpath = f"{parts.ensure(stack.stack) / 'kafka'}/*"
    users = ["SCRAM-SHA-512=[name=admin,password=admin-password]", f"SCRAM-SHA-512=[name=ann,password={PASSWORD}]"]
    subprocess.run(
        [java, "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c",
         str(configuration), *(part for user in users for part in ("--add-scram", user))],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    running = processes.start(
        [java, "-Xmx384m", "-cp", classpath, "kafka.Kafka", str(configuration)], log=folder / "kafka.log", folder=folder
    )
    right = {
        "ADSTREAM_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{port}",
        "ADSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "ADSTREAM_KAFKA_SASL_USERNAME": "ann",
        "ADSTREAM_KAFKA_SASL_PASSWORD": PASSWORD,
        "ADSTREAM_KAFKA_TIMEOUT_SECONDS": "60",
    }
    try:
        yield Guarded(right, right | {"ADSTREAM_KAFKA_SASL_PASSWORD": "guessed"})
    finally:
        processes.stop([running])


def test_right_credentials_are_taken_and_wrong_ones_are_one_line(guarded: Guarded) -> None:
    made = adstream("schema", "register", **guarded.right)
    assert made.returncode == 0, made.stderr
    assert "topic ads_data created" in made.stdout
    done = adstream("produce", "ads", "--count", "5", "--rate", "0", **guarded.right)
    assert "5 acknowledged" in done.stdout, done.stderr
    assert len(adstream("consume", "ads_data", "--count", "5", **guarded.right).stdout.splitlines()) == 5
    for command in (("produce", "ads", "--count", "5"), ("consume", "ads_data"), ("schema", "register")):
        line = one_line(adstream(*command, **guarded.wrong))
        assert "refuses these credentials" in line
        assert "check ADSTREAM_KAFKA_SASL_USERNAME" in line
        assert "guessed" not in line


def test_spark_gets_the_same_credentials_in_its_own_words() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_username="ann", sasl_password=PASSWORD, ssl_ca_file="/etc/ca.pem"
    )
    options = spark_options(settings)
    assert options["kafka.sasl.jaas.config"].endswith('username="ann" password="se\\"cret\\\\1";')
    assert options["kafka.ssl.truststore.type"] == "PEM"
    assert options["kafka.ssl.truststore.location"] == "/etc/ca.pem"
    assert spark_options(KafkaSettings()).keys() == {"kafka.bootstrap.servers", "kafka.security.protocol"}


class Gate(BaseHTTPRequestHandler):
    """Refuses every request, as a proxy in front of a registry does. The local registry asks nobody for a password."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


def test_a_registry_that_refuses(stack: Settings) -> None:
    topic = new_topic(stack)
    with HTTPServer((HOST, 0), Gate) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        credentials = {"ADSTREAM_REGISTRY_USERNAME": "ann", "ADSTREAM_REGISTRY_PASSWORD": "s3cret"}
        url = f"http://{HOST}:{server.server_port}"
        command = ("produce", "ads", "--topic", topic, "--count", "1")
        try:
            line = one_line(adstream(*command, ADSTREAM_REGISTRY_URL=url, **credentials))
        finally:
            server.shutdown()
    assert f"the schema registry at {url} refuses these credentials (0 of 0 events acknowledged)" in line
    assert "s3cret" not in line
    assert Gate.asked == ["Basic " + b64encode(b"ann:s3cret").decode()], "asked once: a refusal is not retried"
