"""A registry of a test's own: the stack's program, started in a few seconds without Kafka or Cassandra."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from common.settings import RegistrySettings, Settings
from stack import parts
from stack.host import ports, processes
from stack.host.java import find_java
from stack.host.ports import HOST
from stack.host.properties import properties
from stack.registry import PATH, REGISTRY, prepare
from stack.service import Place

START_SECONDS = 120
Body = dict[str, object]


@contextmanager
def lone_registry(
    folder: Path, *, java: Path | None = None, program: Path | None = None, **options: str
) -> Iterator[RegistrySettings]:
    """Run a registry until the block ends: the stack's one, or this program on this Java.

    `options` are Quarkus properties, with `__` for dots and `_` for hyphens.
    """
    settings = Settings()
    port = ports.choose("registry", 0, {}, set())
    place = Place(
        java=java or find_java(settings.stack.java_home).executable,
        parts=parts.ensure(settings.stack, print),
        data=folder,
        ports={"registry": port},
        memory="256m",
    )
    command = prepare(place)
    if program is not None:
        command[-1] = str(program)
    with (folder / "registry.properties").open("a", encoding="ascii") as file:
        file.write(properties({name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}))
    running = processes.start(command, log=folder / "registry.log", folder=folder)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready(port):
            alive = running.process() is not None and time.monotonic() < deadline
            assert alive, (folder / "registry.log").read_text()[-2000:]
            time.sleep(0.1)
        yield RegistrySettings(**REGISTRY.address(port, None))  # type: ignore[arg-type]
    finally:
        processes.stop([running])


def ready(port: int) -> bool:
    """Return whether the registry answers at all. With a password it answers 401."""
    try:
        answer = httpx.get(f"http://{HOST}:{port}{PATH}/subjects", timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code in (httpx.codes.OK, httpx.codes.UNAUTHORIZED)


def ask(settings: RegistrySettings, method: str, path: str, body: Body | None = None) -> httpx.Response:
    """Send one request as another program would."""
    secret = settings.password.get_secret_value()
    login = (settings.username, secret) if settings.username else None
    return httpx.request(method, settings.url + path, json=body, auth=login, timeout=30, trust_env=False)


def put(settings: RegistrySettings, subject: str, text: str, **more: object) -> int:
    """Register a text as another program would. Return its id."""
    answer = ask(settings, "POST", f"/subjects/{subject}/versions", {"schema": text, **more})
    assert answer.status_code == httpx.codes.OK, answer.text
    return int(answer.json()["id"])
