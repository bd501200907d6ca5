"""The dashboard as a service of the local stack: it stays up when its starter ends, and `adstream down` stops it."""

import time
from pathlib import Path

from common.errors import StackError
from common.settings import Settings
from common.system.children import python_module
from stack import dashboard_port, state
from stack.host import processes
from stack.host.exclusive import alone
from stack.host.signals import ending_deferred
from stack.security.secured import Secured
from stack.service import Place, Service
from stack.starting import last_words
from stack.state import Entry

NAME = "dashboard"
START_SECONDS = 60.0


def begin(settings: Settings) -> Entry:
    """Start the dashboard unless it runs. It reads the settings that are found from this folder.

    Raises StackError.
    """
    data = settings.data_dir.absolute()
    with alone(data):
        current = state.read(data)
        entry = current.services.get(NAME)
        if entry and entry.running.process():
            return entry
        port = dashboard_port.choose_port(None, current.ports.get(NAME))
        log = data / "logs" / f"{NAME}.log"
        with ending_deferred():
            running = processes.start(_command(port), log=log, folder=Path.cwd())
            entry = Entry(running.pid, running.create_time, {NAME: port}, str(log))
            current.services[NAME] = entry
            current.ports[NAME] = port
            state.write(data, current)
        return entry


def answering(entry: Entry) -> str:
    """Return the dashboard's address, once the dashboard answers there. Raises StackError."""
    deadline = time.monotonic() + START_SECONDS
    while (problem := dashboard_port.problem(entry.ports[NAME])) is not None:
        if entry.running.process() is None:
            raise StackError(f"the dashboard ended while starting: {last_words(Path(entry.log))}", f"see {entry.log}")
        if time.monotonic() > deadline:
            raise StackError(
                f"the dashboard did not answer within {START_SECONDS:.0f} s: {problem}", f"see {entry.log}"
            )
        time.sleep(dashboard_port.POLL_SECONDS)
    return dashboard_port.url(entry.ports[NAME])


def _command(port: int) -> list[str]:
    return python_module("adstream.cli", NAME, "--port", str(port))


def _prepare(place: Place) -> list[str]:
    return _command(place.ports[NAME])


def _ask(port: int, _secured: Secured | None) -> str | None:
    return dashboard_port.problem(port)


def _address(port: int, _secured: Secured | None) -> dict[str, object]:
    return {"url": dashboard_port.url(port)}


DASHBOARD = Service(NAME, "The dashboard", (), _prepare, _ask, _address)
