"""Start services together, and stop all of them when one fails or the user interrupts."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import StackError
from common.settings import Settings
from stack import state
from stack.host import ports, processes
from stack.host.environment import java_options_set, of_a_service
from stack.host.java import find_java
from stack.host.last_words import last_words as last_words
from stack.host.signals import ending_deferred
from stack.security.secured import Secured
from stack.service import Place, Service
from stack.state import Entry, State

START_SECONDS = 180.0
POLL_SECONDS = 0.2


class Start:
    """One `up`: the services that it found running, and the services that it started and would stop again."""

    def __init__(
        self, settings: Settings, data: Path, found: State, report: Callable[[str], None], secured: Secured | None
    ) -> None:
        self.state = found
        self._settings, self._data, self._report, self._secured = settings, data, report, secured
        self._started: list[Service] = []

    def missing(self, services: Sequence[Service]) -> list[Service]:
        """Return the services that do not run."""
        return [service for service in services if not self._runs(service)]

    def choose_ports(self, services: Sequence[Service]) -> None:
        """Choose the ports of services to start.

        Raises StackError for a taken port, and for a running service with another port.
        """
        last = dict(self.state.ports)
        taken: set[int] = set()
        for service in services:
            if self._runs(service):
                running_on = self.state.services[service.name].ports
                taken.update(running_on.values())
                asked = ports.asked_for(service.name, self._settings.stack, last)
                if asked and asked != running_on[service.name]:
                    problem = f"{service.title} already runs on port {running_on[service.name]}, not on {asked}"
                    raise StackError(problem, "run `adstream down` first")
        for service in self.missing(services):
            for name in (service.name, *service.inner_ports):
                inner = name in service.inner_ports
                asked = None if inner else ports.asked_for(name, self._settings.stack, last)
                port = ports.choose(name, asked, last, taken)
                if not inner:
                    ports.require_free(service.title, name, port)
                taken.add(port)
                self.state.ports[name] = port

    def run(self, services: Sequence[Service], parts: Path | None) -> None:
        """Start missing services, and return when all answer. `parts` may be None if nothing is missing.

        Raises StackError, or KeyboardInterrupt on Ctrl-C and SIGTERM; it first stops the services that it started.
        """
        with ending_deferred() as raise_if_ended:
            try:
                for service in self.missing(services):
                    raise_if_ended()
                    assert parts is not None  # noqa: S101 - for the type checker: something is missing
                    self._start(service, parts, raise_if_ended)
                self._await_health(services, raise_if_ended)
            except BaseException:
                self._take_back()
                raise

    def _runs(self, service: Service) -> bool:
        entry = self.state.services.get(service.name)
        return entry is not None and entry.running.process() is not None

    def _start(self, service: Service, parts: Path, raise_if_ended: Callable[[], None]) -> None:
        place = Place(
            java=find_java(self._settings.stack.java_home).executable,
            parts=parts,
            data=self._data / service.name,
            ports=self.state.ports,
            memory=self._settings.stack.memory(service.name),
            secured=self._secured,
            synced=self._settings.stack.cassandra_sync == "batch",
        )
        command = service.prepare(place)
        raise_if_ended()
        log = self._data / "logs" / f"{service.name}.log"
        running = processes.start(command, log=log, folder=place.data, environment=of_a_service())
        self._started.append(service)
        own = {name: self.state.ports[name] for name in (service.name, *service.inner_ports)}
        self.state.services[service.name] = Entry(running.pid, running.create_time, own, str(log))
        state.write(self._data, self.state)
        self._report(f"{service.title} is starting on port {own[service.name]}")

    def _await_health(self, services: Sequence[Service], raise_if_ended: Callable[[], None]) -> None:
        began = time.monotonic()
        waiting = {service.name: (service, "its port is closed") for service in services}
        while waiting:
            raise_if_ended()
            for service, _answer in list(waiting.values()):
                answer = self._ask(service)
                if answer is not None:
                    waiting[service.name] = (service, answer)
                    continue
                del waiting[service.name]
                port = self.state.services[service.name].ports[service.name]
                self.state.addresses[service.name] = service.address(port, self._secured)
                state.write(self._data, self.state)
                self._report(f"{service.title} answers on port {port} ({time.monotonic() - began:.0f} s)")
            if waiting and time.monotonic() - began > START_SECONDS:
                service, answer = next(iter(waiting.values()))
                problem = f"{service.title} did not answer within {START_SECONDS:.0f} s: {answer}"
                raise StackError(problem, f"see {self.state.services[service.name].log}; `adstream down` stops it")
            for service in services:  # one that has answered may have ended while the others start
                self._require_running(service)
            time.sleep(POLL_SECONDS if waiting else 0)

    def _require_running(self, service: Service) -> None:
        entry = self.state.services[service.name]
        if entry.running.process() is None:
            problem = f"{service.title} ended while starting: {last_words(Path(entry.log))}"
            if named := " and ".join(java_options_set()):
                problem += f" ({named} may be why)"
            raise StackError(problem, f"see {entry.log}")

    def _ask(self, service: Service) -> str | None:
        self._require_running(service)
        entry = self.state.services[service.name]
        port = entry.ports[service.name]
        if not ports.is_open(port):
            return "its port is closed"
        refused = service.grant(self._settings, port, self._secured) if self._secured else None
        return refused or service.ask(port, self._secured)

    def _take_back(self) -> None:
        if self._started:
            self._report("stopping what was started")
        processes.stop(self.state.services[service.name].running for service in self._started)
        for service in self._started:
            self.state.services.pop(service.name, None)
            self.state.addresses.pop(service.name, None)
        state.write(self._data, self.state)
