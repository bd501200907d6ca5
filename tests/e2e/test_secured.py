"""The secured stack: authorised clients can do everything, and all others get one line."""

import json
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from dotenv import dotenv_values

from common.own_stack import STACK_FILE
from stack.security import certificates
from stack.security.secured import ROLES
from tests.e2e.commands import MIX, adstream, one_line, started
from tests.e2e.running_job import Job

WRONG = "wr0ng-canary"
EVENTS = 3_000
# These files must hold passwords.
KEEP_PASSWORDS = {*(f"{role}.env" for role in ROLES), "kafka.properties", "registry.properties"}


@dataclass(frozen=True)
class Stack:
    """A secured stack in `folder`, and the CA file of a foreign authority."""

    folder: Path
    foreign: Path

    def run(self, role: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the program as this role. Its output must not contain a password."""
        done = adstream("--env-file", self.env_file(role), *arguments, ADSTREAM_DATA_DIR="", **changes)
        self.shows_no_password(done.stdout + done.stderr)
        return done

    def done(self, role: str, *arguments: str, **changes: str) -> str:
        done = self.run(role, *arguments, **changes)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def env_file(self, role: str) -> str:
        return str(self.folder / f"{role}.env")

    @property
    def passwords(self) -> list[str]:
        values = (dotenv_values(self.env_file(role)) for role in ROLES)
        found = [value for each in values for name, value in each.items() if name.endswith("_PASSWORD") and value]
        assert len(set(found)) == len(found) == 11, "each role has another one for each service"
        return [*found, WRONG]

    def shows_no_password(self, text: str) -> None:
        assert not [password for password in self.passwords if password in text], "a password is shown"

    @property
    def state(self) -> dict[str, dict[str, dict[str, object]]]:
        found: dict[str, dict[str, dict[str, object]]] = json.loads((self.folder / STACK_FILE).read_text())
        return found


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data = tmp_path_factory.mktemp("secured-stack")
    foreign = data / "foreign.pem"
    foreign.write_bytes(certificates.make().authority)
    try:
        up = adstream("up", "--secured", "--free-ports", "--data-dir", data)
        assert up.returncode == 0, up.stdout + up.stderr
        assert f"adstream --env-file {data}/secured/admin.env" in up.stdout
        stack = Stack(data / "secured", foreign)
        stack.shows_no_password(up.stdout + up.stderr)
        stack.done("admin", "schema", "register")
        stack.done("admin", "migrate")
        yield stack
    finally:
        down = adstream("down", "--secured", "--data-dir", data)
        assert down.returncode == 0, down.stderr


def test_keys_are_the_owners_alone_and_are_kept(secured: Stack) -> None:
    assert secured.folder.stat().st_mode & 0o777 == 0o700
    keys = {path: path.read_bytes() for path in secured.folder.rglob("*") if path.name in KEEP_PASSWORDS}
    keys |= {path: path.read_bytes() for path in secured.folder.glob("*.pem")}
    assert len(keys) == len(KEEP_PASSWORDS) + 2
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    again = adstream("secure", "--data-dir", secured.folder.parent)
    assert again.returncode == 0, again.stderr
    assert "made " not in again.stdout
    assert {path: path.read_bytes() for path in keys} == keys
    shown = json.loads(adstream("status", "--secured", "--json", "--data-dir", secured.folder.parent).stdout)
    assert [one["problem"] for one in shown] == [None, None, None]


def test_the_whole_flow_each_step_by_the_role_for_it(secured: Stack) -> None:
    produced = secured.done("producer", "produce", "ads", "--count", str(EVENTS), "--rate", "0", *MIX)
    assert f"{EVENTS:,} acknowledged" in produced
    command = ("--env-file", secured.env_file("job"), "stream", "ad-metrics", "--trigger", "500ms")
    events = secured.folder / "events"
    events.mkdir()
    telling = {
        "ADSTREAM_SPARK_LOG_LEVEL": "DEBUG",
        "ADSTREAM_SPARK_PROPERTIES": f"spark.eventLog.enabled=true,spark.eventLog.dir={events.as_uri()}",
    }
    with started(*command, ADSTREAM_DATA_DIR="", **telling) as running:
        job = Job(running)
        job.await_events(EVENTS)
        for page in sparks_pages(running.pid):
            secured.shows_no_password(page)
        code, said, errors = job.end()
    assert code == 0, said + errors
    secured.shows_no_password(said + errors)
    assert "reading from ads_data" in said
    assert "whose clock stamps" not in said
    for role, verdict in (("job", "OK"), ("consumer", "WARN")):
        findings = json.loads(secured.run(role, "doctor", "--json").stdout)
        assert [each["verdict"] for each in findings if each["subject"] == "broker time"] == [verdict]

    assert "equal" in secured.done("job", "verify", "ad-metrics")
    looking = ("consume", "ads_data", "--to-end", "--json")
    assert len(secured.done("consumer", *looking).splitlines()) == EVENTS
    assert len(secured.done("consumer", *looking, "--group", "adstream-consume-mine").splitlines()) == EVENTS
    assert "ads_data" in secured.done("consumer", "dead-letters", "list")
    letters = secured.done("consumer", "consume", "ads_data.dead-letters", "--to-end", "--json")
    assert "adstream.reason" in letters
    assert "ad-001" in secured.done("reader", "show", "ad-metrics", "--limit", "20")
    assert "ad-001" in secured.done("reader", "cql", "SELECT ad_id FROM ad_metrics")


def test_the_job_itself_may_send_its_alerts(secured: Stack) -> None:
    secured.done("producer", "produce", "clickstream", "--count", "500", "--rate", "0")
    secured.done("job", "stream", "error-alerts", "--threshold", "1", "--once")
    alerts = secured.done("consumer", "consume", "alerts", "--to-end", "--json").splitlines()
    assert {json.loads(alert)["value"]["job"] for alert in alerts} == {"error-alerts"}


@pytest.mark.thorough
def test_a_catalogs_password_stays_out_of_what_the_lakehouse_keeps(secured: Stack) -> None:
    """The job writes Cassandra and Iceberg.

    The last test of this module searches its files and its log for the password.
    """
    secured.done("admin", "produce", "sensor-averages", "--sample")
    catalog = {"ADSTREAM_LAKEHOUSE_USERNAME": "lake", "ADSTREAM_LAKEHOUSE_PASSWORD": WRONG}
    secured.done("admin", "stream", "sensor-averages", "--sample", ADSTREAM_SPARK_LOG_LEVEL="DEBUG", **catalog)
    assert list((secured.folder / "warehouse").rglob("*.metadata.json"))


def sparks_pages(driver: int) -> list[str]:
    """Return Spark's web pages about its environment, and about finished plans."""
    (jvm,) = (child for child in psutil.Process(driver).children(recursive=True) if child.name() == "java")
    listening = [each.laddr.port for each in jvm.net_connections() if each.status == psutil.CONN_LISTEN]
    (port,) = (port for port in listening if 4_040 <= port < 4_100)

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    (application,) = json.loads(get("/api/v1/applications"))
    about = f"/api/v1/applications/{application['id']}"
    plans = get(f"{about}/sql?details=true&planDescription=true&length=1000")
    assert "kafka" in plans.lower()
    return [plans, get(f"{about}/environment"), get("/environment/"), get("/StreamingQuery/")]


def test_hosted_services_way_to_log_in(secured: Stack) -> None:
    done = secured.done("producer", "produce", "ads", "--count", "5", ADSTREAM_KAFKA_SASL_MECHANISM="PLAIN")
    assert "5 acknowledged" in done


PRODUCE = ("produce", "ads", "--count", "1")
SHOW = ("show", "ad-metrics")
SOON = {"ADSTREAM_KAFKA_TIMEOUT_SECONDS": "3"}
FOREIGN = "the file of a foreign authority"


@pytest.mark.parametrize(
    ("role", "command", "changes", "problem", "setting"),
    [
        ("producer", PRODUCE, {"KAFKA_SASL_PASSWORD": WRONG}, "refuses these credentials", "KAFKA_SASL_PASSWORD"),
        ("producer", PRODUCE, {"KAFKA_SASL_PASSWORD": WRONG, "KAFKA_SASL_MECHANISM": "PLAIN"},
         "refuses these credentials", "KAFKA_SASL_PASSWORD"),
        ("producer", PRODUCE, {"KAFKA_SASL_USERNAME": "mallory"}, "refuses these credentials", "KAFKA_SASL_USERNAME"),
        ("producer", PRODUCE, {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
         "does not answer PLAINTEXT connections", "KAFKA_SECURITY_PROTOCOL"),
        ("producer", PRODUCE, {"KAFKA_SECURITY_PROTOCOL": "SSL"},
         "does not answer SSL connections", "KAFKA_SECURITY_PROTOCOL"),
        ("producer", PRODUCE, {"KAFKA_SSL_CA_FILE": FOREIGN}, "the certificate of Kafka at", "KAFKA_SSL_CA_FILE"),
        ("consumer", PRODUCE, {}, "does not let user 'consumer' do this", "KAFKA_SASL_USERNAME"),
        ("producer", ("consume", "ads_data", "--to-end"), {},
         "does not let user 'producer' do this", "KAFKA_SASL_USERNAME"),
        ("consumer", ("consume", "ads_data", "--to-end", "--group", "others"), {},
         "Group authorization failed", "KAFKA_SASL_USERNAME"),
        ("producer", ("consume", "ads_data.dead-letters", "--to-end"), {}, "that user 'producer' may see", ""),
        ("producer", ("schema", "register"), {}, "does not let user 'producer' do this", "KAFKA_SASL_USERNAME"),
        ("producer", PRODUCE, {"REGISTRY_PASSWORD": WRONG}, "refuses these credentials", "REGISTRY_PASSWORD"),
        ("producer", PRODUCE, {"REGISTRY_USERNAME": "mallory"}, "refuses these credentials", "REGISTRY_USERNAME"),
        ("producer", PRODUCE, {"REGISTRY_SSL_CA_FILE": FOREIGN}, "is not trusted", "REGISTRY_SSL_CA_FILE"),
        ("producer", PRODUCE, {"REGISTRY_URL": "http"}, "closes the connection", "REGISTRY_URL"),
        ("consumer", ("schema", "check", "ads_data"), {}, "does not let user 'consumer' do this", "REGISTRY_USERNAME"),
        ("reader", SHOW, {"CASSANDRA_PASSWORD": WRONG}, "refused user 'reader'", "CASSANDRA_PASSWORD"),
        ("reader", SHOW, {"CASSANDRA_USERNAME": "mallory"}, "refused user 'mallory'", "CASSANDRA_USERNAME"),
        ("reader", SHOW, {"CASSANDRA_USERNAME": "cassandra", "CASSANDRA_PASSWORD": "cassandra"},
         "refused user 'cassandra'", "CASSANDRA_USERNAME"),
        ("reader", SHOW, {"CASSANDRA_SSL_CA_FILE": FOREIGN}, "is not trusted", "CASSANDRA_SSL_CA_FILE"),
        ("reader", ("migrate",), {}, "does not let user 'reader' do this", "CASSANDRA_USERNAME"),
        ("reader", ("cql", "DELETE FROM ad_metrics WHERE ad_id = 'ad-001'"), {},
         "User reader has no MODIFY permission", "CASSANDRA_USERNAME"),
        ("reader", ("cql", "SELECT * FROM ad_metrics"), {"CASSANDRA_PASSWORD": WRONG},
         "refused user 'reader'", "CASSANDRA_PASSWORD"),
        ("reader", ("cql", "SELECT * FROM ad_metrics"), {"CASSANDRA_SSL_CA_FILE": FOREIGN},
         "is not trusted", "CASSANDRA_SSL_CA_FILE"),
        ("job", ("cql", "DROP TABLE ad_metrics"), {}, "User job has no DROP permission", "CASSANDRA_USERNAME"),
    ],
)  # fmt: skip
def test_who_may_not_hears_it_in_one_line(
    secured: Stack, role: str, command: tuple[str, ...], changes: dict[str, str], problem: str, setting: str
) -> None:
    url = str(secured.state["addresses"]["registry"]["url"])
    meant = {FOREIGN: str(secured.foreign), "http": url.replace("https:", "http:")}
    options = {f"ADSTREAM_{name}": meant.get(value, value) for name, value in changes.items()}
    line = one_line(secured.run(role, *command, **SOON, **options))
    assert problem in line
    assert f"ADSTREAM_{setting}" in line.rpartition("; ")[2] or not setting


@pytest.mark.parametrize(
    ("command", "problem", "setting"),
    [
        (("consume", "ads_data"), "does not answer PLAINTEXT connections", "KAFKA_SECURITY_PROTOCOL"),
        (SHOW, "closes the connection", "CASSANDRA_SSL_CA_FILE"),
        (("cql", "SELECT * FROM ad_metrics"), "closes the connection", "CASSANDRA_SSL_CA_FILE"),
    ],
)
def test_who_forgets_the_file_of_settings_hears_what_is_missing(
    secured: Stack, command: tuple[str, ...], problem: str, setting: str
) -> None:
    line = one_line(adstream(*command, ADSTREAM_DATA_DIR=str(secured.folder), **SOON))
    assert problem in line
    assert f"ADSTREAM_{setting}" in line.rpartition("; ")[2]


@pytest.mark.parametrize("port", ["kafka-controller", "cassandra-storage"])
def test_inner_ports_take_only_the_services_own_certificate(secured: Stack, port: str) -> None:
    context = ssl.create_default_context(cafile=str(secured.folder / "ca.pem"))
    number = int(str(secured.state["ports"][port]))
    with (
        pytest.raises(ssl.SSLError) as refused,
        socket.create_connection(("127.0.0.1", number), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.recv(1)  # in TLS 1.3 the client learns of the refusal here, after the handshake
    assert "CERTIFICATE" in str(refused.value)


def test_no_password_is_in_anything_that_is_kept(secured: Stack) -> None:
    """Runs last: searches logs at debug level, the event log, checkpoints, the services' data, and the process list."""
    secrets = [password.encode() for password in secured.passwords]
    files = [path for path in secured.folder.rglob("*") if path.is_file() and path.name not in KEEP_PASSWORDS]
    assert {"kafka.log", "registry.log", "cassandra.log", "ad-metrics.log"} <= {path.name for path in files}
    assert " DEBUG " in (secured.folder / "logs" / "ad-metrics.log").read_text(errors="replace")
    assert any(path.parent.name == "events" or "eventlog" in path.parent.name for path in files)
    showing = [path for path in files for content in [path.read_bytes()] if any(each in content for each in secrets)]
    assert showing == []
    for service in secured.state["services"].values():
        secured.shows_no_password(" ".join(psutil.Process(int(str(service["pid"]))).cmdline()))
