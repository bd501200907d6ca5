"""The schema registry: Apicurio, used by its Confluent-compatible interface, with its schemas in an H2 file.

By default Apicurio keeps schemas in memory. Every schema id would then change with a restart, and every message on the
topic would name a wrong schema.
"""

import http.client
import json
import os
import ssl
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

from stack.host.ports import HOST
from stack.parts import REGISTRY_HOME
from stack.security.secured import ADMIN, Secured, private_properties
from stack.service import Place, Service

_HERE = Path(str(files("stack")))
PATH = "/apis/ccompat/v7"
PROGRAM = "apicurio-registry-app-3.0.9-runner.jar"
TIMEOUT_SECONDS = 2.0


def prepare(place: Place) -> list[str]:
    """Write the configuration and return the command."""
    place.data.mkdir(parents=True, exist_ok=True)
    configuration = place.data / "registry.properties"
    own = {
        "quarkus.http.host": HOST,
        "quarkus.http.port": place.ports["registry"],
        # WRITE_DELAY=0: a returned schema id is on disk. The path is relative to the working directory, because
        # characters of an absolute path may mean something else in a URL.
        "apicurio.datasource.url": "jdbc:h2:file:./schemas;WRITE_DELAY=0",
    }
    if place.secured:
        own |= _secured(place)
    private_properties(configuration, (_HERE / "registry.properties").read_text(encoding="ascii"), own)
    return [
        *(str(place.java), *place.heap(), place.scratch(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        # The registry answers a few requests an hour: a quick start and little memory matter most.
        f"-Dsmallrye.config.locations={configuration.as_uri()}",
        *("-jar", str(place.parts / REGISTRY_HOME / PROGRAM)),
    ]


def _secured(place: Place) -> dict[str, object]:
    """Return the options for TLS, the only protocol, and for logins.

    Everything but the health check needs a password, and only the admin may make changes.
    """
    keys, port = place.secured, place.ports["registry"]
    assert keys is not None  # noqa: S101 - for the type checker: asked for a secured stack only
    server = os.path.relpath(keys.server, place.data)  # relative: the registry divides the value at commas
    own: dict[str, object] = {
        "quarkus.http.insecure-requests": "disabled",
        "quarkus.http.ssl-port": port,
        "quarkus.http.ssl.certificate.files": server,
        "quarkus.http.ssl.certificate.key-files": server,
        "quarkus.http.auth.basic": "true",
        "quarkus.security.users.embedded.enabled": "true",
        "quarkus.security.users.embedded.plain-text": "true",
        "quarkus.http.auth.policy.admins.roles-allowed": ADMIN,
        "quarkus.http.auth.permission.look.paths": "/*",
        "quarkus.http.auth.permission.look.methods": "GET,HEAD",
        "quarkus.http.auth.permission.look.policy": "authenticated",
        "quarkus.http.auth.permission.change.paths": "/*",
        "quarkus.http.auth.permission.change.methods": "POST,PUT,PATCH,DELETE",
        "quarkus.http.auth.permission.change.policy": "admins",
        "quarkus.http.auth.permission.health.paths": "/health/*",
        "quarkus.http.auth.permission.health.policy": "permit",
    }
    for name, password in keys.registry_users().items():
        own[f"quarkus.security.users.embedded.users.{name}"] = password
        own[f"quarkus.security.users.embedded.roles.{name}"] = name
    return own


def ask(port: int, secured: Secured | None) -> str | None:
    """Ask whether the registry is ready and can list its subjects.

    Uses no proxy: the registry is on this machine.
    """
    connection, headers = _connection(port, secured)
    try:
        for path in ("/health/ready", f"{PATH}/subjects"):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                return f"{path} answers {answer.status}"
        json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None


def _connection(port: int, secured: Secured | None) -> tuple[http.client.HTTPConnection, dict[str, str]]:
    if secured is None:
        return http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS), {}
    trusted = ssl.create_default_context(cafile=str(secured.authority))
    login = f"{ADMIN}:{secured.registry_users()[ADMIN]}".encode()
    headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
    return http.client.HTTPSConnection(HOST, port, timeout=TIMEOUT_SECONDS, context=trusted), headers


def address(port: int, secured: Secured | None) -> dict[str, object]:
    """Return the address in the form of the settings' section."""
    return {"url": f"http{'s' if secured else ''}://{HOST}:{port}{PATH}"}


REGISTRY = Service("registry", "Schema registry", (), prepare, ask, address)
