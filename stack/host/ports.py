"""Choose a service's port: the port asked for, the last one, or a free one."""

import errno
import random
import socket
from collections.abc import Collection, Mapping

import psutil

from common.errors import StackError
from common.settings import StackSettings

# The services listen here, and are reached from this machine only.
HOST = "127.0.0.1"

# Below the range from which Linux takes ports for outgoing connections. Seconds pass before the service binds the
# chosen port. Meanwhile any connection of this machine could take a port of that range.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


def choose(name: str, asked: int | None, last: Mapping[str, int], taken: Collection[int]) -> int:
    """Choose a port. `asked` is taken unchanged; 0 means any free port; None means the last port, else any free one.

    With 0, too, the last port is used again if it is free.
    """
    if asked:
        return asked
    before = last.get(name)
    if before is not None and before not in taken and is_free(before):
        return before
    for _try in range(_TRIES):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - not a secret
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port between {_FIRST} and {_LAST} was found", "close what listens there")


def asked_for(name: str, settings: StackSettings, last: Mapping[str, int]) -> int | None:
    """Return a service's public port from the settings; None if they leave it to the last one."""
    field = f"{name}_port"
    if field not in settings.model_fields_set and name in last:
        return None
    return getattr(settings, field, None)


def is_free(port: int) -> bool:
    """Return whether a service could listen on the port now. Connections in their last state do not matter."""
    return _refusal(port) is None


def held(port: int) -> str | None:
    """Return why no service could listen on the port now, like `is taken by java (process 4711)`; None if one could.

    Names the holder if the system tells.
    """
    refused = _refusal(port)
    if refused is None:
        return None
    if refused.errno == errno.EADDRINUSE:
        holder = who_listens(port)
        return f"is taken by {holder}" if holder else "is taken"
    if refused.errno == errno.EACCES:
        return "is not open to this user, as only root may listen on the lowest ports"
    return f"cannot be used: {refused.strerror}"


def _refusal(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as refused:
            return refused
    return None


def is_open(port: int) -> bool:
    """Return whether a process accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def require_free(title: str, name: str, port: int) -> None:
    """Raise StackError with the port, the reason, and the ways to another port: `demo` has no options for ports."""
    if why := held(port):
        remedy = f"let `adstream up --free-ports` choose others, or set ADSTREAM_STACK_{name.upper()}_PORT"
        raise StackError(f"port {port} for {title} {why}", remedy)


def who_listens(port: int) -> str | None:
    """Return text like `java (process 4711)`.

    None if the system does not tell, because it hides other users' processes.
    """
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                return f"process {connection.pid}"
    return None
