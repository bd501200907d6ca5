"""Runs the program as a user does, and reads topics with a plain client."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.pipeline import configure
from common import contracts
from common.errors import ServiceUnavailable
from common.kafka import create_topics, end_offsets, topic_spec
from common.registry import RegistryClient
from common.settings import Settings
from tests.e2e.loaded_program import LoadedProgram

SECONDS = 300
BROKER_SESSION_SECONDS = 9.0  # the default of Kafka's broker.session.timeout.ms
# Out of order, repeated, broken: one event in ten each. Late: one in twenty.
MIX = ("--ads", "12", "--late", "0.05", "--out-of-order", "0.1", "--duplicates", "0.1", "--broken", "0.1")


def adstream(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end.

    The program finds the stack through ADSTREAM_DATA_DIR. `environment` overrides settings.
    """
    given, full = [*map(str, arguments)], os.environ | environment
    if _program().suits(given, full):
        return subprocess.CompletedProcess(given, *_program().run(given, full, SECONDS))
    return subprocess.run(
        [sys.executable, "-m", "adstream.cli", *given],
        env=full,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@cache
def _program() -> LoadedProgram:
    return LoadedProgram()


@contextmanager
def started(*arguments: str, module: str = "adstream.cli", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program beside the test, and end it with the block. `module` replaces the program itself."""
    running = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_topic(settings: Settings, *, versions: int = 2) -> str:
    """Make a topic of the test's own, and register the first `versions` contracts of the ads for it."""
    topic = f"ads-{secrets.token_hex(4)}"
    create_topics(settings, [topic_spec(settings, topic)])
    registry = RegistryClient(settings.registry)
    for contract in contracts.history("ads_data")[:versions]:
        registry.register(replace(contract, subject=f"{topic}-value"))
    return topic


def delete_before(settings: Settings, topic: str, ends: Mapping[int, int]) -> None:
    """Delete the messages before these offsets (by partition) at once, as retention does later."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    places = [TopicPartition(topic, partition, offset) for partition, offset in ends.items()]
    for future in admin.delete_records(places, request_timeout=60).values():
        future.result(timeout=60)


def await_leaders(settings: Settings, topic: str) -> None:
    """Wait until a thawed broker leads its partitions, and stays their leader.

    A broker still leads just after it thaws. Within a session's time the controller decides whether the broker was away
    for too long.
    """
    deadline, leads = time.monotonic() + 90, None
    while leads is None or time.monotonic() < leads + BROKER_SESSION_SECONDS:
        assert time.monotonic() < deadline
        try:
            end_offsets(settings, topic)
            leads = leads or time.monotonic()
        except ServiceUnavailable:
            leads = None
        time.sleep(0.2)


def limit_messages(settings: Settings, topic: str, most_bytes: int) -> None:
    """Let the broker refuse larger messages on `topic`."""
    configure(settings, topic, {"max.message.bytes": most_bytes})


def changed_contract(topic: str, field: Mapping[str, object]) -> contracts.Contract:
    """Return the newest contract with one more field, as the next version for `topic`.

    No other topic has the same schema. To an old one the registry would give its old id.
    """
    newest = contracts.latest("ads_data")
    schema = newest.schema
    schema["fields"].append({**field, "doc": f"Of {topic}."})
    return replace(newest, subject=f"{topic}-value", version=3, text=json.dumps(schema))


def everything_on(settings: Settings, topic: str) -> list[Message]:
    """Read all records, ordered by partition and offset, with a client that shares no code with ours."""
    ends = end_offsets(settings, topic)
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "plain"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    wanted = sum(ends.values())
    found: list[Message] = []
    deadline = time.monotonic() + SECONDS
    while len(found) < wanted:
        assert time.monotonic() < deadline, f"{len(found)} of {wanted} records"
        found += [message for message in consumer.consume(1000, timeout=1.0) if message.error() is None]
    consumer.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def one_line(failed: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the error's line.

    It must be the only line on standard error, apart from a producer's seed and start. So there is no stack trace.
    """
    assert failed.returncode == code, failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    lines = [line for line in failed.stderr.splitlines() if not line.startswith(("seed ", "events start at "))]
    assert len(lines) == 1, failed.stderr
    assert lines[0].startswith("error: ")
    return lines[0]
