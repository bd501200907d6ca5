"""Streamlit's server, for viewers on this machine: it listens on the loopback address, and calls nobody."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from adstream.errors import ConfigError
from stack import ports
from stack.service import HOST

PORT = 8501
_POLL_SECONDS = 0.05
APP = Path(__file__).with_name("app.py")
OPTIONS = {
    "server.address": HOST,
    # A page of somewhere else that has our address as its name must not get in.
    "server.allowedHosts": [HOST, "localhost"],
    "server.headless": True,  # opens no browser, and asks for no e-mail address
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "browser.gatherUsageStats": False,
    "client.allowedOrigins": [],  # of pages that may have this one in a frame, and steer it
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",  # to search engines
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
    "theme.primaryColor": "#2563eb",
}


def choose_port(asked: int | None, last: int | None = None) -> int:
    """`asked`, any that is free for 0; else that of last time or 8501, unless something listens there.

    Raises ConfigError.
    """
    if asked and not ports.is_free(asked):
        holder = ports.who_listens(asked)
        raise ConfigError(
            f"port {asked} is taken{f' by {holder}' if holder else ''}", "leave --port out, or give another one"
        )
    if asked:
        return asked
    usual = next((port for port in (last, PORT) if port and ports.is_free(port)), None)
    return usual if usual and asked is None else ports.choose("dashboard", 0, {}, ())


def url(port: int) -> str:
    """The address for the browser."""
    return f"http://{HOST}:{port}"


def serve(port: int, say: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM."""
    os.environ["STREAMLIT_LOGGER_LEVEL"] = "error"
    from streamlit.web import bootstrap

    def say_when_it_listens() -> None:
        while not ports.is_open(port):
            time.sleep(_POLL_SECONDS)
        say(f"The dashboard is at {url(port)} (Ctrl-C ends it)")

    options = OPTIONS | {"server.port": port}
    bootstrap.load_config_options(options)
    threading.Thread(target=say_when_it_listens, daemon=True).start()
    with suppress(KeyboardInterrupt):  # before its own handler is in place
        bootstrap.run(str(APP), is_hello=False, args=[], flag_options=options)
