"""Streamlit's server, for viewers on this machine: it listens on the loopback address, and connects to nobody."""

import importlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import stamina

from stack.dashboard_port import POLL_SECONDS, problem, url
from stack.host.ports import HOST

APP = Path(__file__).with_name("app.py")
OPTIONS = {
    "server.address": HOST,
    # Without this check a page from elsewhere could get in, if its host name points to our address.
    "server.allowedHosts": [HOST, "localhost"],
    "server.headless": True,  # opens no browser, and asks for no e-mail address
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "browser.gatherUsageStats": False,
    "client.allowedOrigins": [],  # pages that may show this one in a frame, and steer it
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",  # answers for search engines
    "logger.hideWelcomeMessage": True,
    "logger.level": "error",
    "theme.primaryColor": "#2563eb",
}


def serve(port: int, say: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM."""
    os.environ["STREAMLIT_LOGGER_LEVEL"] = "error"
    stamina.set_active(False)  # a page refreshes by itself, and shows the error until then
    from streamlit.web import bootstrap

    def say_when_it_answers() -> None:
        while problem(port) is not None:
            time.sleep(POLL_SECONDS)
        say(f"The dashboard is at {url(port)} (Ctrl-C ends it)")
        # Otherwise the first viewer would wait for it.
        importlib.import_module("adstream.dashboard.pages")

    options = OPTIONS | {"server.port": port}
    bootstrap.load_config_options(options)
    threading.Thread(target=say_when_it_answers, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until Streamlit has its own handler: nothing needs an end yet
    bootstrap.run(str(APP), is_hello=False, args=[], flag_options=options)
