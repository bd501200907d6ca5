"""The common parts of the three services: a place to run in, files to write first, and a health check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.settings import Settings
from stack.host.executable import first_suitable, temporary
from stack.security.secured import Secured

Ports = Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """The place of one service. `data` is its own folder, and its working directory.

    `ports` has its public port by its name, and its inner ones. `secured` holds the keys of a secured stack; it is None
    for a plain one. `synced` asks Cassandra to have each write on disk before it acknowledges it.
    """

    java: Path
    parts: Path
    data: Path
    ports: Ports
    memory: str
    secured: Secured | None = None
    synced: bool = False

    def classpath(self, configuration: str) -> str:
        """Return a class path with a wildcard: the JVM expands it, and the process list stays readable."""
        return f"{self.parts / configuration}/*"

    def heap(self) -> list[str]:
        """Return JVM options with fixed limits.

        A JVM without memory ends at once. Crash files stay in the data folder.
        """
        return [f"-Xmx{self.memory}", "-XX:+ExitOnOutOfMemoryError", "-XX:ErrorFile=hs_err_%p.log"]

    def scratch(self) -> str:
        """Return the folder for Java's native libraries and temporary files.

        Raises StackError if Java could not run them there.
        """
        return f"-Djava.io.tmpdir={first_suitable(self.data / 'tmp', temporary())}"


@dataclass(frozen=True)
class Service:
    """`prepare` writes the configuration into the place and returns the command; `ask` returns None when all is well.

    `ask` makes a real request with a timeout of a second or two, and otherwise returns the problem as text. `grant`
    runs before `ask`, and makes the users of a secured stack and their rights. It returns the same kind of answer as
    `ask`, and is safe to repeat.
    """

    name: str
    title: str
    inner_ports: tuple[str, ...]
    prepare: Callable[[Place], list[str]]
    ask: Callable[[int, Secured | None], str | None]
    address: Callable[[int, Secured | None], dict[str, object]]
    grant: Callable[[Settings, int, Secured], str | None] = lambda _settings, _port, _secured: None
