"""docker-compose.yml as a user runs it, in a project of its own and on free ports."""

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose import local_images
from tests.e2e.commands import free_port

ROOT = Path(__file__).parents[2]
LOCAL = "tests/compose/docker-compose.local.yml"
PUBLISHED = {
    "kafka": "ADSTREAM_STACK_KAFKA_PORT",
    "registry": "ADSTREAM_STACK_REGISTRY_PORT",
    "cassandra": "ADSTREAM_STACK_CASSANDRA_PORT",
    "streaming": "METRICS_PORT",
    "spark-master": "SPARK_PAGE_PORT",
}
SECONDS = 300
PULL_SECONDS = 600


def run(
    *command: str, seconds: float = SECONDS, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def programs() -> list[tuple[str, ...]]:
    """Return the installed programs of Compose v2 and docker-compose 1.29."""
    return [one for one in (("docker", "compose"), ("docker-compose",)) if _works(*one, "version")]


def require_engine() -> None:
    if not _works("docker", "info"):
        pytest.skip("NOT TESTED: docker-compose.yml, as no Docker engine answers here")
    if not programs():
        pytest.skip("NOT TESTED: docker-compose.yml, as neither `docker compose` nor `docker-compose` is installed")


def images() -> list[str]:
    """Return the files for Compose.

    They use the public images if Docker can pull them, otherwise images built here.
    """
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    public = sorted({service["image"] for service in services.values() if "build" not in service})
    if all(_works("docker", "image", "inspect", image) or _pulled(image) for image in public):
        return ["docker-compose.yml"]
    if problem := local_images.missing_tool():
        pytest.skip(f"NOT TESTED: docker-compose.yml, as public images cannot be pulled here, and {problem}")
    local_images.build()
    return ["docker-compose.yml", LOCAL]


def _works(*command: str) -> bool:
    try:
        return run(*command, seconds=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _pulled(image: str) -> bool:
    try:
        return run("docker", "pull", "--quiet", image, seconds=PULL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@dataclass
class System:
    """One project of Compose. `ports` has the published port of each service."""

    files: list[str]
    program: tuple[str, ...] = field(default_factory=lambda: programs()[0])
    project: str = field(default_factory=lambda: f"adstream-test-{secrets.token_hex(3)}")
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PUBLISHED})
    settings: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        files = [part for file in self.files for part in ("-f", file)]
        return [*self.program, "--env-file", "tests/compose/test.env", "-p", self.project, *files, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        ports = {PUBLISHED[name]: str(port) for name, port in self.ports.items()}
        return {**os.environ, **ports, **self.settings}

    def compose(self, *arguments: str, seconds: float = SECONDS) -> str:
        done = run(*self.command(*arguments), seconds=seconds, env=self.environment)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}{self.logs()}"
        return done.stdout

    def up(self, *options: str) -> None:
        """Build and start the services. `options` come before the word `up`."""
        build = ["--no-build"] if LOCAL in self.files else ["--build"]
        self.compose(*options, "up", "-d", *build, seconds=1800)

    def down(self) -> None:
        """Remove containers, volumes and networks, and check that nothing is left."""
        self.compose("--profile", "cluster", "down", "--volumes", "--remove-orphans", "--timeout", "20")
        label = ("--filter", f"label=com.docker.compose.project={self.project}", "--quiet")
        for what in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            assert run("docker", *what, *label).stdout == ""

    def adstream(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands in a container of its own, independent of all others."""
        return run(*self.adstream_command(*arguments), env=self.environment)

    def adstream_command(self, *arguments: str, **settings: str) -> list[str]:
        given = [part for name, value in settings.items() for part in ("-e", f"{name}={value}")]
        return self.command("run", "--rm", "--no-deps", "-T", *given, "streaming", *arguments)

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the service's container."""
        return run("docker", "exec", self.inspect(service)["Id"], *command)

    def cql(self, statement: str) -> str:
        """Return cqlsh's output in Cassandra's container; empty as long as Cassandra cannot answer."""
        return self.execute("cassandra", "cqlsh", "--no-color", "-e", statement).stdout

    def inspect(self, service: str) -> dict[str, Any]:
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        [container] = run("docker", "ps", "--all", "--quiet", *filters).stdout.split()
        [found] = json.loads(run("docker", "inspect", container).stdout)
        return dict(found)

    def kill(self, service: str) -> None:
        """Kill every process in the container with `kill -9`. Wait until the container runs again and is healthy."""
        before = self.inspect(service)["RestartCount"]
        self.execute(service, "sh", "-c", "kill -9 -1")
        self.until(lambda: self.inspect(service)["RestartCount"] > before, f"{service} is started again")
        self.until(lambda: self._healthy(service), f"{service} is healthy again")

    def _healthy(self, service: str) -> bool:
        state = self.inspect(service)["State"]
        return state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def until(self, condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.logs()}"
            time.sleep(0.5)

    def logs(self) -> str:
        return run(*self.command("logs", "--no-color", "--tail", "30"), env=self.environment).stdout

    def verified(self, *options: str) -> int:
        """Run `adstream verify`, which must find everything equal.

        Returns the number of offsets in its ledger; 0 before the job has run.
        """
        done = self.adstream("verify", "ad-metrics", *options)
        if "run `adstream stream ad-metrics` first" in done.stderr:
            return 0
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.logs()}"
        [offsets] = re.findall(r"^\s*all\s+([\d,]+)", done.stdout, re.MULTILINE)
        return int(offsets.replace(",", ""))
