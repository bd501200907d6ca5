"""The local stack as a user meets it: by the program, in a folder of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from cassandra.cluster import Cluster
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from common.kafka import updates_group
from common.own_stack import STACK_FILE
from common.settings import Settings

SCHEMA = '{"type": "record", "name": "Kept", "fields": [{"name": "n", "type": "long"}]}'
# Cassandra has just started, and the driver's own limits are 2 and 5 s.
PATIENT = {"connect_timeout": 30, "control_connection_timeout": 30}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    adstream("down", folder)
    assert processes_of(folder) == []


def adstream(command: str, data: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adstream.cli", command, *options],
        env=os.environ | {"ADSTREAM_DATA_DIR": str(data)} | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def processes_of(data: Path) -> list[str]:
    """Return the command lines of all Java processes that run in this folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if process.info["name"] == "java" and str(data) in command:
            found.append(command[-200:])
    return found


def addresses(data: Path) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = json.loads((data / STACK_FILE).read_text())["addresses"]
    return known


def pids(data: Path) -> dict[str, int]:
    services = json.loads((data / STACK_FILE).read_text())["services"]
    return {name: entry["pid"] for name, entry in services.items()}


def register(url: object) -> int:
    """Register the schema. Return its id, which is the same each time."""
    body = json.dumps({"schema": SCHEMA}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/subjects/kept-value/versions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["id"])


def read_one(brokers: object) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition("kept", 0, 0)])
    try:
        message = consumer.poll(60)
        return message.value() if message else None
    finally:
        consumer.close()


def test_data_and_schema_ids_survive_down_and_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = adstream("up", data, "--free-ports")
    assert first.returncode == 0, first.stderr
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(data))
    # The first question about any group, as `reset` asks it: a new Kafka makes its topic of groups only now.
    updates_group.require_nobody(Settings(), "updates")
    before = addresses(data)
    brokers, url, cassandra = (before[name] for name in ("kafka", "registry", "cassandra"))

    schema_id = register(url["url"])
    admin = AdminClient({"bootstrap.servers": brokers["bootstrap_servers"]})
    admin.create_topics([NewTopic("kept", 1)])["kept"].result(30)
    producer = Producer({"bootstrap.servers": brokers["bootstrap_servers"]})
    producer.produce("kept", b"message")
    assert producer.flush(30) == 0
    with Cluster(["127.0.0.1"], port=cassandra["port"], protocol_version=5, **PATIENT) as cluster:
        session = cluster.connect()
        session.execute("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        session.execute("CREATE TABLE kept.rows (n int PRIMARY KEY)")
        session.execute("INSERT INTO kept.rows (n) VALUES (7) USING TTL 600000000")  # the row expires after 2038

    # Of the user's clients, who use other services: the stack's own questions take nothing from them.
    elsewhere_by_tls = {"ADSTREAM_CASSANDRA_SSL": "true", "ADSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL"}
    shown = adstream("status", data, "--json", **elsewhere_by_tls)
    assert shown.returncode == 0
    assert all(one["healthy"] and one["memory_bytes"] > 0 for one in json.loads(shown.stdout))
    assert adstream("up", data, **elsewhere_by_tls).returncode == 0, "a second up must find all running"

    assert "the data are kept" in adstream("down", data).stdout
    assert processes_of(data) == []
    assert addresses(data) == {}
    assert adstream("status", data).returncode == 1

    second = adstream("up", data)
    assert second.returncode == 0, second.stderr
    assert addresses(data) == before, "the same ports must come back"
    services = pids(data)
    psutil.Process(services["kafka"]).kill()
    assert adstream("status", data).returncode == 1
    assert adstream("up", data).returncode == 0, "what ended must be started again, alone"
    assert addresses(data) == before
    assert {name for name, pid in pids(data).items() if services[name] != pid} == {"kafka"}
    elsewhere = adstream("up", data, "--kafka-port", "20000")
    assert elsewhere.stderr.startswith(
        f"error: Kafka already runs on port {brokers['bootstrap_servers'].split(':')[1]}"
    )

    assert register(url["url"]) == schema_id
    assert read_one(brokers["bootstrap_servers"]) == b"message"
    with Cluster(["127.0.0.1"], port=cassandra["port"], protocol_version=5, **PATIENT) as cluster:
        assert cluster.connect().execute("SELECT n FROM kept.rows").one().n == 7


@contextmanager
def ended_at_last(running: subprocess.Popen[str], data: Path) -> Iterator[None]:
    """If the block fails, leave neither the process nor what it has started."""
    try:
        yield
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGCONT)
            running.kill()
            running.wait(30)
            adstream("down", data)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ending_up_in_the_middle_leaves_no_process(data: Path, ending: signal.Signals) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "adstream.cli", "up", "--free-ports"],
        env=os.environ | {"ADSTREAM_DATA_DIR": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert starting.stdout is not None
    with ended_at_last(starting, data), starting.stdout as said:
        assert any("Kafka is starting" in line for line in said)
        assert len(processes_of(data)) == 3
        starting.send_signal(ending)
        assert "stopping what was started" in said.read()
        assert starting.wait(60) == 130
    assert processes_of(data) == []
    assert addresses(data) == {}


def test_a_service_that_ends_while_starting_is_one_line_and_stops_the_others(data: Path) -> None:
    ended = adstream("up", data, "--free-ports", ADSTREAM_STACK_KAFKA_MEMORY="1m")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: Kafka ended while starting: ")
    assert line.endswith(f"; see {data}/logs/kafka.log")
    assert "heap" in line
    assert processes_of(data) == []


def test_a_taken_port_is_one_line_before_anything_starts(data: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        refused = adstream("up", data, "--free-ports", "--kafka-port", str(port))
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"error: port {port} for Kafka is taken by ")
    assert line.endswith("; let `adstream up --free-ports` choose others, or set ADSTREAM_STACK_KAFKA_PORT")
    assert processes_of(data) == []


def test_two_ups_in_one_folder_do_not_mix(data: Path) -> None:
    command = [sys.executable, "-m", "adstream.cli", "up", "--free-ports"]
    environment = os.environ | {"ADSTREAM_DATA_DIR": str(data)}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    with ended_at_last(first, data), first.stdout as said:
        assert any("is starting" in line for line in said)
        first.send_signal(signal.SIGSTOP)  # it must not be done before the second one begins
        second = adstream("up", data, "--free-ports")
        first.send_signal(signal.SIGCONT)
        first.send_signal(signal.SIGINT)
        said.read()
        assert first.wait(60) == 130
    assert second.returncode == 1
    assert second.stderr.startswith(f"error: another `up` or `down` is at work in {data}; ")


def test_without_a_network_the_fetch_is_one_line(data: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    refused = adstream(
        "up",
        data,
        "--free-ports",
        ADSTREAM_STACK_CACHE_DIR=str(tmp_path / "cache"),
        https_proxy="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: the JVM parts cannot be fetched: ")
    assert "Connection refused" in line
    assert time.monotonic() - began < 120
