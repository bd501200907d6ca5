"""Streamlit's server, for viewers on this machine: it listens on the loopback address, and calls nobody."""

import importlib
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from common.errors import ConfigError
from stack.host import ports
from stack.service import HOST

PORT = 8501
POLL_SECONDS = 0.1
_ASK_SECONDS = 2.0
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


def problem(port: int) -> str | None:
    """Why it does not answer there, or None."""
    try:
        # Of this machine: no proxy of the environment is asked.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url(port)}/_stcore/health", timeout=_ASK_SECONDS) as answer:
            return None if answer.status == 200 else f"status {answer.status}"
    except OSError as error:
        return str(error)


def serve(port: int, say: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM."""
    os.environ["STREAMLIT_LOGGER_LEVEL"] = "error"
    from streamlit.web import bootstrap

    def say_when_it_answers() -> None:
        while problem(port) is not None:
            time.sleep(POLL_SECONDS)
        say(f"The dashboard is at {url(port)} (Ctrl-C ends it)")
        # The first viewer would wait for it.
        importlib.import_module("adstream.dashboard.pages")

    options = OPTIONS | {"server.port": port}
    bootstrap.load_config_options(options)
    threading.Thread(target=say_when_it_answers, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until its own handler is in place: there is nothing to end yet
    bootstrap.run(str(APP), is_hello=False, args=[], flag_options=options)
