"""The local stack asks its own services whether they are well, whatever settings the user's clients have."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import cassandra, kafka
from stack.security.secured import Secured
from tests.e2e.commands import adstream, one_line

SECONDS = 30
# The first byte of a request: Kafka's begins with its length, and Cassandra's with the protocol's version. With TLS it
# is 0x16.
KAFKA, CASSANDRA = b"\x00", b"\x05"
UNUSABLE = [("ADSTREAM_KAFKA_TIMEOUT_SECONDS", "ten"), ("ADSTREAM_CASSANDRA_CONSISTENCY", "local_quorum")]


@pytest.mark.parametrize(
    ("name", "value", "ask", "first"),
    [
        (*UNUSABLE[0], kafka.ask, KAFKA),
        ("ADSTREAM_KAFKA_SECURITY_PROTOCOL", "SASL_SSL", kafka.ask, KAFKA),
        (*UNUSABLE[1], cassandra.ask, CASSANDRA),
        ("ADSTREAM_CASSANDRA_SSL", "true", cassandra.ask, CASSANDRA),
        ("ADSTREAM_CASSANDRA_SSL_CA_FILE", "/nowhere/ca.pem", cassandra.ask, CASSANDRA),
        ("ADSTREAM_CASSANDRA_USERNAME", "somebody", cassandra.ask, CASSANDRA),
    ],
)
def test_a_plain_service_is_asked_plainly(
    name: str,
    value: str,
    ask: Callable[[int, Secured | None], str | None],
    first: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)

        def hear() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.settimeout(SECONDS)
                heard.append(connection.recv(1))

        hearing = threading.Thread(target=hear)
        hearing.start()
        problem = ask(listening.getsockname()[1], None)
        hearing.join()
    assert heard == [first]
    assert problem, "a server that hangs up is not well"


@pytest.mark.parametrize("command", [("up", "--free-ports"), ("status",), ("demo",)], ids=lambda words: words[0])
@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_an_unusable_setting_of_a_client_is_one_line_before_anything_starts(
    command: tuple[str, ...], name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{name}={value}\n", encoding="utf-8")
    line = one_line(adstream(*command, ADSTREAM_DATA_DIR=str(tmp_path / "data")))
    assert line.startswith(f"error: {name} cannot be used: ")
    assert line.endswith("; see .env.example")
    assert not (tmp_path / "data").exists()
