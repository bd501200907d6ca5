"""The local stack as a whole: start the missing services, stop all, report their state.

Everything is in one data folder: `stack.json`, `logs/`, and a folder per service whose data survive stop and start.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from common.own_stack import STACK_FILE
from common.settings import Settings, check_services
from stack import parts, state
from stack.cassandra import CASSANDRA
from stack.dashboard import DASHBOARD
from stack.host import processes
from stack.host.exclusive import alone
from stack.host.machine import require_room
from stack.host.signals import ending_deferred
from stack.kafka import KAFKA
from stack.registry import REGISTRY
from stack.security import secured
from stack.security.secured import Secured
from stack.service import Service
from stack.spark import MASTER, WORKER, cluster
from stack.starting import Start
from stack.state import Entry, State

# The slowest to start goes first.
SERVICES: tuple[Service, ...] = (CASSANDRA, REGISTRY, KAFKA)
Report = Callable[[str], None]


@dataclass(frozen=True)
class Addresses:
    """The addresses of the services for clients."""

    bootstrap_servers: str
    registry_url: str
    cassandra_port: int
    spark_master: str | None


@dataclass(frozen=True)
class Status:
    """The present state of one service.

    `problem` is None when it answers. `memory` is resident bytes, None when it does not run.
    """

    name: str
    address: str
    pid: int | None
    problem: str | None
    memory: int | None
    log: Path


def up(settings: Settings, *, spark_workers: int = 0, report: Report = lambda _line: None) -> Addresses:
    """Start the services that do not run, and return when all answer.

    Raises StackError, and ConfigError for a client's setting that cannot be used, before it starts anything.

    With `spark_workers` a Spark cluster is one of the services, and jobs run there from now on.

    If a service fails, or on Ctrl-C or SIGTERM, this call stops everything that it started.
    """
    check_services()
    data = settings.data_dir.absolute()
    with alone(data):
        keys = secured.find(data)
        # After a reboot nothing of the last stack runs, and nobody may take its Spark master for a running one.
        found = without_ended(state.read(data))
        # From here on this folder's commands use this stack or none, even if it never starts.
        state.write(data, found)
        start = Start(settings, data, found, report, keys)
        services = (*SERVICES, *cluster(spark_workers))
        start.choose_ports(services)
        home = None
        if start.missing(services):
            require_room(data, parts.cache_root(settings.stack))
            home = parts.ensure(settings.stack, report)
        start.run(services, home)
        return addresses(start.state, keys)


def down(
    settings: Settings, *, only: Collection[Service] | None = None, report: Report = lambda _line: None
) -> list[str]:
    """Stop the running services, or `only` these, and return their names. Data and ports stay."""
    data = settings.data_dir.absolute()
    if not (data / STACK_FILE).exists():
        return []
    with alone(data):
        current = state.read(data)
        asked = {service.name for service in only} if only is not None else set(current.services)
        running = {name: entry.running for name, entry in current.services.items() if entry.running.process()}
        ending = [name for name in running if name in asked]
        if ending:
            report(f"stopping {', '.join(ending)}")
        with ending_deferred():
            processes.stop(running[name] for name in ending)
            for name in asked:
                current.services.pop(name, None)
                current.addresses.pop(name, None)
            state.write(data, current)
        return ending


def status(settings: Settings) -> list[Status]:
    """Return the state of each service, by asking it (at most a few seconds).

    Raises ConfigError for a client's setting that cannot be used: all other commands would.
    """
    check_services()
    data = settings.data_dir.absolute()
    current, keys = state.read(data), secured.find(data)
    workers = sum(name.startswith(WORKER) for name in current.services)
    services = (*SERVICES, *cluster(workers), *([DASHBOARD] if DASHBOARD.name in current.services else []))
    return [_status(service, current.services.get(service.name), data, keys) for service in services]


def without_ended(found: State) -> State:
    """Return the state without services whose process has ended, and without their addresses.

    A cluster's workers stay as long as its master runs: `status` tells which of them have ended.
    """
    running = {name for name, entry in found.services.items() if entry.running.process()}
    workers = {name for name in found.services if name.startswith(WORKER) and MASTER.name in running}
    services = {name: entry for name, entry in found.services.items() if name in running | workers}
    return State({name: where for name, where in found.addresses.items() if name in running}, services, found.ports)


def addresses(current: State, keys: Secured | None) -> Addresses:
    """Return the addresses of a stack after its three services have started."""

    def port(service: Service) -> int:
        return current.services[service.name].ports[service.name]

    return Addresses(
        bootstrap_servers=str(KAFKA.address(port(KAFKA), keys)["bootstrap_servers"]),
        registry_url=str(REGISTRY.address(port(REGISTRY), keys)["url"]),
        cassandra_port=port(CASSANDRA),
        spark_master=str(MASTER.address(port(MASTER), keys)["master"]) if MASTER.name in current.services else None,
    )


def _status(service: Service, entry: Entry | None, data: Path, keys: Secured | None) -> Status:
    log = data / "logs" / f"{service.name}.log"
    # Before the question, which takes seconds: the process may end meanwhile.
    memory = entry.running.memory() if entry else None
    if entry is None or memory is None:
        return Status(service.name, "", None, "not running" if entry is None else "it has ended", None, log)
    port = entry.ports[service.name]
    return Status(service.name, f"127.0.0.1:{port}", entry.pid, service.ask(port, keys), memory, log)
