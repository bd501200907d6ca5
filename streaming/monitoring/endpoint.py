"""A job's HTTP endpoint: `/health`, `/ready`, `/progress` and `/metrics`, from the monitor's state."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from common.errors import ConfigError
from common.settings import MetricsSettings, Settings
from common.system.running import announced
from common.text.shown import shown
from streaming.monitoring.monitor import Monitor

# The limit for one request, from its first byte to the last.
_SECONDS = 5.0
_STOP_POLL_SECONDS = 0.05
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"


class Answering(Protocol):
    """The source of the answers: a job's monitor, or the monitor of the applying process."""

    @property
    def metrics(self) -> "Exposed":
        """Metrics for `/metrics`."""

    def progress(self) -> dict[str, Any]:
        """Return the answer to `/progress`."""

    def unhealthy(self) -> str:
        """Return the reason for `/health`, or nothing."""

    def unready(self) -> str:
        """Return the reason for `/ready`, or nothing."""


class Exposed(Protocol):
    """Metrics for Prometheus."""

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics in the format that the Accept header asks for, and its content type."""


@contextmanager
def served(settings: Settings, monitor: Monitor) -> Iterator[str | None]:
    """Serve the job's endpoint in this context, and list the job in common.system.running.

    Yields the URL, or None if the settings say `off`. Raises ConfigError if the endpoint cannot listen there.
    """
    with answering(settings.metrics, monitor) as url:
        if url is None:
            yield None
            return
        with announced(settings, monitor.job, url):
            yield url


@contextmanager
def answering(where: MetricsSettings, monitor: Answering) -> Iterator[str | None]:
    """Serve the monitor's state at the yielded URL. Raises the errors of `served`."""
    if where.port == "off":
        yield None
        return
    server = _listening(where.host, where.port, monitor)
    thread = threading.Thread(target=server.serve_forever, args=(_STOP_POLL_SECONDS,), name="metrics", daemon=True)
    thread.start()
    try:
        yield _url(where, server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def _listening(host: str, port: int, monitor: Answering) -> ThreadingHTTPServer:
    class Handler(_Handler):
        of = monitor

    try:
        return _Server((host, port), Handler)
    except OSError as refused:
        raise ConfigError(
            f"metrics cannot be served on {host}:{port}: {refused.strerror}",
            "set ADSTREAM_METRICS_PORT or --metrics-port to 0 for a free port, or to off",
        ) from None


def _url(where: MetricsSettings, port: int) -> str:
    """Return the URL for a program on this machine, also if the job listens on all addresses."""
    return f"http://{'127.0.0.1' if where.host == '0.0.0.0' else where.host}:{port}"  # noqa: S104


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that goes away before its answer."""


class _Handler(BaseHTTPRequestHandler):
    of: Answering
    timeout = _SECONDS
    server_version = "adstream"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/progress":
            self._answer(HTTPStatus.OK, _JSON, json.dumps(self.of.progress()))
        elif path == "/metrics":
            body, kind = self.of.metrics.exposed(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, body)
        elif path == "/health":
            self._judged(self.of.unhealthy())
        elif path == "/ready":
            self._judged(self.of.unhealthy() or self.of.unready())
        else:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, "there are /metrics, /health, /ready and /progress\n")

    do_HEAD = do_GET  # noqa: N815

    def _judged(self, reason: str) -> None:
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK, _TEXT, f"{shown(reason) or 'ok'}\n")

    def _answer(self, status: HTTPStatus, kind: str, body: str | bytes) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Write nothing: the terminal belongs to the job's report."""
