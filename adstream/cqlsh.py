"""Cassandra's own shell, cqlsh, connected to the cluster of the settings. It runs in this Python environment.

The password goes through a file that only this user can read. It is never an argument, because every user of the
machine can see arguments.
"""

import os
import re
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.cassandra.session import server_message, unreached
from common.errors import AccessDenied, AdstreamError, BadInput, ConfigError, ServiceUnavailable
from common.settings import CassandraSettings
from common.system.children import python_module
from common.text.shown import shown

# Whole seconds, and Z for UTC. Microseconds and an offset make rows wider than most terminals.
_LOOK = "[ui]\ntime_format = %Y-%m-%d %H:%M:%SZ\ntimezone = UTC\n"
# cqlsh uses this file unless the user has named another one.
_UTC = {"TZ": "UTC"}
# cqlsh warns about every patch release other than its own, and the warning has no consequence.
_VERSION_NOTE = "WARNING: cqlsh was built against"
_MORE_THAN_A_REQUEST = 15.0
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def query(settings: CassandraSettings, statement: str, *, color: bool = False) -> str:
    """Run `statement` and return cqlsh's output, with times in UTC that end with a Z.

    Raises BadInput for a statement that Cassandra refuses.
    """
    with _arguments(settings) as arguments, tempfile.TemporaryDirectory(prefix="cqlsh-") as folder:
        look = Path(folder, "cqlshrc")
        look.write_text(_LOOK, encoding="utf-8")
        own = ["--cqlshrc", str(look), "--color" if color else "--no-color", "--execute", statement]
        # Without this, cqlsh creates ~/.cassandra for a history that nobody types.
        environment = {**os.environ, **_UTC, "CQL_HISTORY": str(Path(folder, "history"))}
        try:
            done = subprocess.run(
                [*arguments[:-2], *own, *arguments[-2:]],
                env=environment | _trusted(settings),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=2 * settings.timeout_seconds + _MORE_THAN_A_REQUEST,
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceUnavailable(
                f"cqlsh did not end within {error.timeout:.0f} s", "see `adstream status`"
            ) from None
    if done.returncode == 0:
        lines = (line for line in done.stdout.split("\n") if not line.startswith(_VERSION_NOTE))
        return "\n".join(map(_harmless, lines))
    raise _explain((done.stderr or done.stdout).strip(), settings)


def interactive(settings: CassandraSettings) -> int:
    """Hand the terminal to cqlsh until its user leaves it. Returns its exit code."""
    # Ctrl-C belongs to the shell. The shell does not inherit a handler, unlike an ignored signal.
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    try:
        with _arguments(settings) as arguments:
            return subprocess.run(arguments, env=os.environ | _UTC | _trusted(settings), check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _harmless(line: str) -> str:
    """Return the line with cqlsh's own colours, made harmless.

    cqlsh escapes the control characters of a value, but no other invisible characters.
    """
    return "".join(part if _COLOUR.fullmatch(part) else shown(part) for part in _COLOUR.split(line))


def _explain(said: str, settings: CassandraSettings) -> AdstreamError:
    if "AuthenticationFailed" in said:
        remedy = "set ADSTREAM_CASSANDRA_USERNAME and ADSTREAM_CASSANDRA_PASSWORD"
        return AccessDenied(f"Cassandra refused user {settings.username!r}", remedy)
    if f"using keyspace '{settings.keyspace}'" in said:
        return ConfigError(f"there is no keyspace {settings.keyspace}", "make it with `adstream migrate`")
    if "[Unauthorized]" in said:
        return AccessDenied(
            f"Cassandra does not let user {settings.username!r} do this: {server_message(said)}",
            "set ADSTREAM_CASSANDRA_USERNAME to a user with this right",
        )
    if "Connection error" in said:
        return unreached(said, settings)
    return BadInput(f"cqlsh says: {said.splitlines()[-1] if said else 'nothing, and failed'}", "correct the statement")


def _trusted(settings: CassandraSettings) -> dict[str, str]:
    """Return cqlsh's variables with the authorities to trust; cqlsh has no default."""
    if not settings.tls:
        return {}
    system = ssl.get_default_verify_paths()
    return {"SSL_CERTFILE": str(settings.ssl_ca_file or system.cafile or system.openssl_cafile), "SSL_VALIDATE": "true"}


@contextmanager
def _arguments(settings: CassandraSettings) -> Iterator[list[str]]:
    """Yield the command line, host and port last. The file with the credentials exists until the block ends."""
    settings.require()
    with tempfile.NamedTemporaryFile("w", prefix="cqlsh-", encoding="utf-8") as credentials:  # made with mode 600
        command = python_module("adstream.checked_cqlsh" if settings.tls else "cqlshlib")
        command += ["--connect-timeout", f"{settings.timeout_seconds:.0f}"]
        command += ["--request-timeout", f"{settings.timeout_seconds:.0f}"]
        command += ["--ssl"] if settings.tls else []
        command += ["--encoding", "utf-8", "--keyspace", settings.keyspace]
        if settings.username:
            password = settings.password.get_secret_value()
            credentials.write(f"[plain_text_auth]\nusername = {settings.username}\npassword = {password}\n")
            credentials.flush()
            command += ["--credentials", credentials.name]
        yield [*command, settings.hosts[0], str(settings.port)]
