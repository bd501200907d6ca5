"""Services that end while `status` or `up` looks at them, and before. A small program stands in for each service."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.errors import StackError
from common.settings import Settings
from stack import local, state
from stack.host import ports, processes
from stack.host.processes import Running
from stack.kafka import KAFKA
from stack.registry import REGISTRY
from stack.security.secured import Secured
from stack.service import Place, Service
from stack.starting import Start
from stack.state import Entry, State

Ask = Callable[[int, Secured | None], str | None]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a data folder of the test's own. At its end nothing of that folder may run."""
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    yield Settings()
    left = [entry.running for entry in state.read(tmp_path).services.values() if entry.pid != os.getpid()]
    processes.stop(left)


def waiting(folder: Path) -> Running:
    """Start a process that waits for ever."""
    waits = [sys.executable, "-c", "import signal; signal.pause()"]
    return processes.start(waits, log=folder / "log", folder=folder)


def ending(running: Running) -> Ask:
    """Return a question that is answered well, and ends the process meanwhile."""

    def ask(_port: int, _keys: Secured | None) -> None:
        processes.stop([running])

    return ask


def test_a_service_that_ends_while_it_is_asked_is_no_traceback(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = waiting(tmp_path)
    entry = Entry(running.pid, running.create_time, {"kafka": 9092}, "log")
    state.write(tmp_path, State(services={"kafka": entry}))
    monkeypatch.setattr(local, "SERVICES", (replace(KAFKA, ask=ending(running)),))
    [asked] = local.status(settings)
    assert asked.memory
    [after] = local.status(settings)
    assert (after.problem, after.memory) == ("it has ended", None)


def test_a_process_that_ends_before_its_memory_is_read_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = waiting(tmp_path)
    assert running.memory()
    found = psutil.Process(running.pid)
    processes.stop([running])
    assert running.memory() is None
    monkeypatch.setattr(Running, "process", lambda _self: found)  # found in the moment before
    assert running.memory() is None


LISTENS = """
import signal, socket, sys
print("ERROR no more disk", flush=True)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.pause()
"""


def listening(service: Service, ask: Ask) -> Service:
    """Return the service with a small program that opens its port and waits, and with this question."""

    def prepare(place: Place) -> list[str]:
        place.data.mkdir()
        return [sys.executable, "-c", LISTENS, str(place.ports[service.name])]

    return replace(service, inner_ports=(), prepare=prepare, ask=ask)


def test_a_service_that_ends_after_its_answer_fails_the_start_and_stops_the_others(
    settings: Settings, tmp_path: Path
) -> None:
    found, said = State(), list[str]()

    def end_kafka(_port: int, _keys: Secured | None) -> str | None:
        if KAFKA.name not in found.addresses:
            return "Kafka has not answered yet"
        processes.stop([found.services[KAFKA.name].running])
        return None

    services = [listening(KAFKA, lambda _port, _keys: None), listening(REGISTRY, end_kafka)]
    settings.stack.kafka_port = settings.stack.registry_port = 0
    start = Start(settings, tmp_path, found, said.append, None)
    start.choose_ports(services)
    log = tmp_path / "logs" / "kafka.log"
    with pytest.raises(
        StackError, match=rf"^Kafka ended while starting: ERROR no more disk( \(.* may be why\))?; see {log}$"
    ):
        start.run(services, tmp_path)
    assert any(line.startswith("Kafka answers on port ") for line in said)
    assert said[-1] == "stopping what was started"
    assert state.read(tmp_path) == State(ports=found.ports)
    assert not [port for port in found.ports.values() if ports.is_open(port)]


def test_after_a_reboot_up_neither_names_nor_keeps_a_cluster_that_has_ended(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [replace(each, ask=lambda _port, _keys: None) for each in local.SERVICES]
    monkeypatch.setattr(local, "SERVICES", services)
    created = psutil.Process().create_time()
    with socket.create_server(("127.0.0.1", 0)) as answering:
        port = answering.getsockname()[1]
        running = {each.name: Entry(os.getpid(), created, {each.name: port}, "log") for each in services}
        ended = {name: Entry(os.getpid(), created - 1_000, {name: 7077}, "log") for name in ("spark", "spark_worker_1")}
        last = dict.fromkeys([*running, *ended], port)
        state.write(tmp_path, State({"spark": {"master": "spark://127.0.0.1:7077"}}, running | ended, last))
        assert local.up(settings).spark_master is None
    after = state.read(tmp_path)
    assert (after.services, after.ports) == (running, last)
    assert after.addresses.keys() == running.keys()
    assert Settings().spark.master == "local[2]"
