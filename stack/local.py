"""The local stack as a whole: start what does not run, stop it, say how it is.

Everything lives in one data folder: `stack.json`, `logs/`, and a folder per service whose data survive stop and start.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adstream.errors import StackError
from adstream.file_lock import Held, locked
from adstream.settings import Settings
from stack import parts, processes, secured, state
from stack.cassandra import CASSANDRA
from stack.kafka import KAFKA
from stack.machine import require_room
from stack.registry import REGISTRY
from stack.secured import Secured
from stack.service import Service
from stack.signals import ending_deferred
from stack.starting import Start
from stack.state import Entry, State

# The slowest to start goes first.
SERVICES: tuple[Service, ...] = (CASSANDRA, REGISTRY, KAFKA)
Report = Callable[[str], None]


@dataclass(frozen=True)
class Addresses:
    """Where clients find the services."""

    bootstrap_servers: str
    registry_url: str
    cassandra_port: int


@dataclass(frozen=True)
class Status:
    """One service now. `problem` is None when it answers; `memory` is resident bytes, None when it does not run."""

    name: str
    address: str
    pid: int | None
    problem: str | None
    memory: int | None
    log: Path


def up(settings: Settings, *, report: Report = lambda _line: None) -> Addresses:
    """Start the services that do not run, and return when all three answer. Raises StackError.

    If one fails, or on Ctrl-C or SIGTERM, everything that this call started is stopped again.
    """
    data = settings.data_dir.absolute()
    with _alone(data):
        keys = secured.find(data)
        start = Start(settings, data, state.read(data), report, keys)
        start.choose_ports(SERVICES)
        home = None
        if start.missing(SERVICES):
            require_room(data, parts.cache_root(settings.stack))
            home = parts.ensure(settings.stack, report)
        start.run(SERVICES, home)
        return addresses(start.state, keys)


def down(settings: Settings, *, report: Report = lambda _line: None) -> list[str]:
    """Stop what runs, and return the names. Data and ports are kept."""
    data = settings.data_dir.absolute()
    if not data.is_dir():
        return []
    with _alone(data):
        current = state.read(data)
        running = {name: entry.running for name, entry in current.services.items() if entry.running.process()}
        if running:
            report(f"stopping {', '.join(running)}")
        with ending_deferred():
            processes.stop(running.values())
            state.write(data, State(ports=current.ports))
        return list(running)


def status(settings: Settings) -> list[Status]:
    """How each service is, by asking it (at most a few seconds)."""
    data = settings.data_dir.absolute()
    current, keys = state.read(data), secured.find(data)
    return [_status(service, current.services.get(service.name), data, keys) for service in SERVICES]


def addresses(current: State, keys: Secured | None) -> Addresses:
    """Of a stack whose three services have been started."""

    def port(service: Service) -> int:
        return current.services[service.name].ports[service.name]

    return Addresses(
        bootstrap_servers=str(KAFKA.address(port(KAFKA), keys)["bootstrap_servers"]),
        registry_url=str(REGISTRY.address(port(REGISTRY), keys)["url"]),
        cassandra_port=port(CASSANDRA),
    )


def _status(service: Service, entry: Entry | None, data: Path, keys: Secured | None) -> Status:
    log = data / "logs" / f"{service.name}.log"
    process = entry.running.process() if entry else None
    if entry is None or process is None:
        return Status(service.name, "", None, "not running" if entry is None else "it has ended", None, log)
    port = entry.ports[service.name]
    problem = service.ask(port, keys)
    return Status(service.name, f"127.0.0.1:{port}", entry.pid, problem, process.memory_info().rss, log)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(data / "stack.lock"))
        except OSError as refused:
            raise StackError(
                f"{data} cannot be written: {refused.strerror}", "choose another folder by --data-dir"
            ) from None
        except Held:
            problem = f"another `up` or `down` is at work in {data}"
            raise StackError(problem, "wait until it is done, or choose another folder by --data-dir") from None
        yield
