"""`stack.json` in the data folder: the running services and their addresses.

The settings read the addresses from it.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from common.errors import StackError
from common.own_stack import STACK_FILE
from stack.host.processes import Running


@dataclass(frozen=True)
class Entry:
    """One started service: its process, its ports by name, and its log."""

    pid: int
    create_time: float
    ports: dict[str, int]
    log: str

    @property
    def running(self) -> Running:
        return Running(self.pid, self.create_time)


@dataclass
class State:
    """`addresses` are those of services that answered. `ports` survive a stop, so each service gets its port again."""

    addresses: dict[str, dict[str, object]] = field(default_factory=dict)
    services: dict[str, Entry] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def read(data: Path) -> State:
    """Read the state. It is empty without a file. Raises StackError for a file that cannot be understood."""
    path = data / STACK_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        services = {name: Entry(**entry) for name, entry in content.get("services", {}).items()}
        return State(content.get("addresses", {}), services, content.get("ports", {}))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StackError(f"{path} cannot be read: {error}", "stop the services named in it, and delete it") from None


def write(data: Path, state: State) -> None:
    """Write by renaming, so that no reader ever sees half a file."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / STACK_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
