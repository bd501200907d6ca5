"""The schema registry: Apicurio, spoken to by its Confluent-compatible interface, with its schemas in an H2 file.

Its default is a database in memory: every schema id would change with a restart, and every message on the topic would
then name a wrong schema.
"""

import http.client
import json
from importlib.resources import files
from pathlib import Path

from stack.parts import REGISTRY_HOME
from stack.service import HOST, Place, Service, properties

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
        # WRITE_DELAY=0: a schema id that was answered is on disk.
        "apicurio.datasource.url": f"jdbc:h2:file:{place.data / 'schemas'};WRITE_DELAY=0",
    }
    configuration.write_text(
        (_HERE / "registry.properties").read_text(encoding="ascii") + properties(own), encoding="ascii"
    )
    return [
        *(str(place.java), *place.heap(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        # It answers a few requests an hour: what counts is how soon it is up, and how little it takes.
        f"-Dsmallrye.config.locations={configuration.as_uri()}",
        *("-jar", str(place.parts / REGISTRY_HOME / PROGRAM)),
    ]


def ask(port: int) -> str | None:
    """Ready by its own account, and the list of subjects is answered. No proxy: it is this machine."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        for path in ("/health/ready", f"{PATH}/subjects"):
            connection.request("GET", path)
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


def address(port: int) -> dict[str, object]:
    """As the settings' section wants it."""
    return {"url": f"http://{HOST}:{port}{PATH}"}


REGISTRY = Service("registry", "Schema registry", (), prepare, ask, address)
