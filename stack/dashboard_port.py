"""The dashboard's port on this machine, and its state."""

import urllib.request

from common.errors import ConfigError
from stack.host import ports
from stack.host.ports import HOST

PORT = 8501
POLL_SECONDS = 0.1
_ASK_SECONDS = 2.0


def choose_port(asked: int | None, last: int | None = None) -> int:
    """Return `asked`, or any free port for 0; else the last port or 8501, unless something listens there.

    Raises ConfigError.
    """
    if asked:
        if why := ports.held(asked):
            raise ConfigError(f"port {asked} {why}", "leave --port out, or give another one")
        return asked
    usual = next((port for port in (last, PORT) if port and ports.is_free(port)), None)
    return usual if usual and asked is None else ports.choose("dashboard", 0, {}, ())


def url(port: int) -> str:
    """Return the address for the browser."""
    return f"http://{HOST}:{port}"


def problem(port: int) -> str | None:
    """Return why the dashboard does not answer there, or None."""
    try:
        # The dashboard is on this machine, so no proxy is used.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url(port)}/_stcore/health", timeout=_ASK_SECONDS) as answer:
            return None if answer.status == 200 else f"status {answer.status}"
    except OSError as error:
        return str(error)
