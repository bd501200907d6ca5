"""A cluster of Cassandra nodes on this machine. A test can kill, freeze and start each of them.

The stack's own configuration starts each node. System properties replace the options that differ. The nodes share their
ports, as a cluster must, and have addresses of their own.
"""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from cassandra import ConsistencyLevel, Unavailable
from cassandra.cluster import Session
from cassandra.policies import FallthroughRetryPolicy
from cassandra.query import SimpleStatement

from common.cassandra.session import DRIVER_ERRORS, connect
from common.errors import AdstreamError
from common.settings import CassandraSettings, Settings
from stack import cassandra, parts
from stack.host import ports, processes
from stack.host.environment import of_a_service
from stack.host.java import find_java
from stack.host.last_words import last_words
from stack.host.processes import Running
from stack.service import Place

# Below this, Cassandra has no room for its memtables.
HEAP = "384m"
WAIT_SECONDS = 180
# A node that starts waits until it knows its neighbours. Cassandra's own options wait for at least eight seconds.
_SETTLED = ("-Dcassandra.gossip_settle_min_wait_ms=1000", "-Dcassandra.gossip_settle_poll_interval_ms=500")
_TOKENS = 2**64
# Each row of this table has two replicas. So a node reads it only while it takes all nodes for alive.
_FROM_ALL = SimpleStatement(
    "SELECT session_id FROM system_traces.sessions",
    consistency_level=ConsistencyLevel.ALL,
    retry_policy=FallthroughRetryPolicy(),
)
_NEIGHBOURS = "SELECT peer FROM system.peers_v2"
_ASKED_SECONDS = 5.0
Condition = Callable[[Session], bool]


class Nodes:
    """Nodes at 127.0.0.1, 127.0.0.2 and so on, which share the ring evenly. `settings` says where they are."""

    def __init__(self, folder: Path, count: int) -> None:
        self.addresses = [f"127.0.0.{number}" for number in range(1, count + 1)]
        _require_addresses(self.addresses)
        port = ports.choose("cassandra", 0, {}, set())
        self.settings = CassandraSettings(hosts=tuple(self.addresses), port=port)
        self._ports = {"cassandra": port, "cassandra-storage": ports.choose("storage", 0, {}, {port})}
        self._folder = folder
        self._running: dict[str, Running] = {}

    def start(self, *addresses: str) -> None:
        """Start these nodes, by default all that do not run. Returns when each node sees all others."""
        for address in addresses or self.addresses:
            if address not in self._running:
                self._start(address)
        self._await("the nodes do not see each other", self._all_see_all)

    def kill(self, address: str) -> None:
        """Kill the node with SIGKILL."""
        self._process(address).kill()
        processes.stop([self._running.pop(address)])  # waits for its end

    @contextmanager
    def frozen(self, address: str) -> Iterator[None]:
        """Stop the node with SIGSTOP until the block ends. It keeps its connections, but answers nothing."""
        victim = self._process(address)
        victim.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            victim.send_signal(signal.SIGCONT)

    def await_noticed(self, gone: str) -> None:
        """Wait until the other nodes take this one for dead. Until then they may ask it, and wait for its answer."""
        others = [address for address in self.addresses if address != gone]
        self._await(f"nobody misses {gone}", lambda session: _miss_one(session, others))

    def stop(self) -> None:
        """Kill all nodes: nobody needs their data any more."""
        for address in list(self._running):
            if self._running[address].process():
                self.kill(address)

    def _process(self, address: str) -> psutil.Process:
        found = self._running[address].process()
        assert found is not None, f"{address} does not run"
        return found

    def _log(self, address: str) -> Path:
        return self._folder / f"{address}.log"

    def _start(self, address: str) -> None:
        settings = Settings()
        place = Place(
            java=find_java(settings.stack.java_home).executable,
            parts=parts.ensure(settings.stack, print),
            data=self._folder / address,
            ports=self._ports,
            memory=HEAP,
        )
        command = [option for option in cassandra.prepare(place) if option not in cassandra.ALONE]
        command[1:1] = [*_SETTLED, *self._options(address)]
        log = self._log(address)
        self._running[address] = processes.start(command, log=log, folder=place.data, environment=of_a_service())

    def _options(self, address: str) -> list[str]:
        place = self.addresses.index(address)
        settings = {
            "listen_address": address,
            "rpc_address": address,
            "initial_token": -_TOKENS // 2 + place * _TOKENS // len(self.addresses),
            # Hints would bring a node the rows that it has missed. Without them a read is right by its quorum alone.
            "hinted_handoff_enabled": "false",
        }
        options = [f"-Dcassandra.settings.{name}={value}" for name, value in settings.items()]
        return ["-Dcassandra.config.allow_system_properties=true", *options]

    def _await(self, problem: str, there: Condition) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._holds(there):
            for address, running in self._running.items():
                assert running.process() is not None, f"{address} has ended: {last_words(self._log(address))}"
            assert time.monotonic() < deadline, problem
            time.sleep(0.3)

    def _holds(self, there: Condition) -> bool:
        try:
            with connect(self.settings) as session:
                return there(session)
        except (AdstreamError, *DRIVER_ERRORS):
            return False

    def _all_see_all(self, session: Session) -> bool:
        hosts = session.cluster.metadata.all_hosts()
        for host in hosts:
            if len(list(session.execute(_NEIGHBOURS, host=host))) < len(self.addresses) - 1:
                return False
            session.execute(_FROM_ALL, host=host, timeout=_ASKED_SECONDS)
        return len(hosts) == len(self.addresses)


def _miss_one(session: Session, addresses: list[str]) -> bool:
    """Return whether each of these nodes answers that it cannot ask all nodes."""
    for host in session.cluster.metadata.all_hosts():
        if host.address not in addresses:
            continue
        try:
            session.execute(_FROM_ALL, host=host, timeout=_ASKED_SECONDS)
        except Unavailable:
            continue
        return False
    return True


def _require_addresses(addresses: list[str]) -> None:
    """Skip the test on a machine without these addresses. Linux has all of 127.0.0.0/8, macOS has only the first."""
    for address in addresses:
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                pytest.skip(f"this machine has no address {address}: {error}")
