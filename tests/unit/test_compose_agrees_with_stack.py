"""docker-compose.yml and the stack without containers agree: versions, configuration, memory, ports."""

import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from adstream.demo import MIX
from common.settings import Settings, option_names
from stack import cassandra, kafka, registry
from stack.service import Place

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
# With the defaults in place of ${NAME:-default}.
COMPOSE = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PUBLIC = ("kafka", "registry", "cassandra")
OURS = [name for name in SERVICES if name not in PUBLIC]


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service]["environment"].items()}


def megabytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


def place(tmp_path: Path) -> Place:
    """A place whose storage is formatted already, so that preparing Kafka starts nothing."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "meta.properties").touch()
    ports = {"kafka": 1, "kafka-controller": 2, "registry": 3, "cassandra": 4, "cassandra-storage": 5}
    return Place(Path("java"), tmp_path, tmp_path, ports, "1g")


def properties(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize(
    ("service", "image", "part"),
    [
        ("kafka", "apache/kafka", "kafka_2.13"),
        ("registry", "apicurio/apicurio-registry", "apicurio-registry-app"),
        ("cassandra", "cassandra", "cassandra-all"),
    ],
)
def test_images_have_the_versions_of_the_jvm_parts(service: str, image: str, part: str) -> None:
    for file in ("ivy.xml", "parts.xml"):
        [found] = ElementTree.parse(ROOT / "stack" / file).iterfind(f".//dependency[@name='{part}']")
        assert SERVICES[service]["image"] == f"{image}:{found.get('rev')}"


def test_our_image_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"adstream:{version}"}


@pytest.mark.parametrize("service", PUBLIC)
def test_heap_and_port_are_the_stacks(service: str) -> None:
    stack = Settings().stack
    heap, port = getattr(stack, f"{service}_memory"), getattr(stack, f"{service}_port")
    said = " ".join(environment(service).values())
    assert re.search(rf"(^| |-Xmx){heap}( |$)", said)
    assert SERVICES[service]["ports"][0].startswith(f"127.0.0.1:{port}:")
    assert megabytes(SERVICES[service]["mem_limit"]) >= megabytes(heap) + 256, "a heap is not all that a JVM takes"
    for name in (f"ADSTREAM_STACK_{service.upper()}_MEMORY", f"ADSTREAM_STACK_{service.upper()}_PORT"):
        assert f"${{{name}:-" in TEXT


@pytest.mark.parametrize(
    ("service", "file"),
    [("kafka", "kafka.properties"), ("registry", "registry.properties"), ("cassandra", "cassandra.yaml")],
)
def test_the_stacks_configuration_file_is_mounted(service: str, file: str) -> None:
    [mounted] = [volume for volume in SERVICES[service]["volumes"] if volume.startswith("./")]
    source, target, mode = mounted.split(":")
    assert (source, mode) == (f"./stack/{file}", "ro")
    assert service == "kafka" or f"file://{target}" in " ".join(environment(service).values())


def test_kafka_differs_in_addresses_and_folders_alone(tmp_path: Path) -> None:
    kafka.prepare(place(tmp_path))
    common = properties((ROOT / "stack" / "kafka.properties").read_text(encoding="ascii"))
    stack = properties((tmp_path / "kafka.properties").read_text(encoding="ascii"))
    containers = {
        name.removeprefix("KAFKA_").lower().replace("_", ".")
        for name in environment("kafka")
        if name != "KAFKA_HEAP_OPTS"
    }
    own = {name for name in stack if stack[name] != common.get(name)}
    assert containers - own == {"listener.security.protocol.map"}
    assert own <= containers
    assert containers & common.keys() == {"listener.security.protocol.map"}


def test_the_registry_differs_in_addresses_and_folders_alone(tmp_path: Path) -> None:
    registry.prepare(place(tmp_path))
    common = properties((ROOT / "stack" / "registry.properties").read_text(encoding="ascii"))
    stack = properties((tmp_path / "registry.properties").read_text(encoding="ascii"))
    own = {name: value for name, value in stack.items() if name not in common}
    assert set(own) == {"quarkus.http.host", "quarkus.http.port", "apicurio.datasource.url"}
    database = environment("registry")["APICURIO_DATASOURCE_URL"]
    kind, options = re.compile("^jdbc:h2:file:"), re.compile(";.*$")
    for url in (own["apicurio.datasource.url"], database):
        assert kind.search(url)
    assert options.findall(database) == options.findall(own["apicurio.datasource.url"])


def test_cassandra_differs_in_addresses_and_folders_alone(tmp_path: Path) -> None:
    command = cassandra.prepare(place(tmp_path))
    common = yaml.safe_load((ROOT / "stack" / "cassandra.yaml").read_text(encoding="ascii"))
    stack = yaml.safe_load((tmp_path / "cassandra.yaml").read_text(encoding="ascii"))
    assert all(name.endswith(("_port", "_directory", "_directories")) for name in stack if name not in common)
    assert all(stack[name] == value for name, value in common.items())
    options = environment("cassandra")["JVM_EXTRA_OPTS"].split()
    own = [option for option in options if not option.startswith(("-Dcassandra.config", "-Dcassandra.settings."))]
    assert set(own) <= set(command)
    changed = {option.split("=")[0] for option in options if option.startswith("-Dcassandra.settings.")}
    assert changed == {"-Dcassandra.settings.rpc_address", "-Dcassandra.settings.broadcast_rpc_address"}


def test_a_synced_node_acknowledges_what_is_on_disk_and_differs_in_nothing_else(tmp_path: Path) -> None:
    here = place(tmp_path)

    def written(*, synced: bool) -> dict[str, object]:
        cassandra.prepare(replace(here, synced=synced))
        found: dict[str, object] = yaml.safe_load((tmp_path / "cassandra.yaml").read_text(encoding="ascii"))
        return found

    usual, synced = written(synced=False), written(synced=True)
    assert usual.pop("commitlog_sync") == "periodic"
    assert usual.pop("commitlog_sync_period") == "1000ms"
    assert synced.pop("commitlog_sync") == "batch"
    assert usual == synced


def test_the_producer_sends_what_the_demo_sends() -> None:
    options = dict(re.findall(r"--([a-z-]+) (\S+)", SERVICES["producer"]["command"]))
    del options["rate"]
    given = {name.replace("-", "_"): float(value) for name, value in options.items()}
    assert given == {each.name: getattr(MIX, each.name) for each in fields(MIX) if each.name in given}
    assert len(given) == 5


@pytest.mark.parametrize("service", OURS)
def test_our_containers_are_locked_down_and_set_only_what_is_a_setting(service: str) -> None:
    ours = SERVICES[service]
    assert set(environment(service)) <= set(option_names())
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]


def test_the_jobs_health_is_asked_where_it_listens() -> None:
    job = SERVICES["streaming"]
    port = environment("streaming")["ADSTREAM_METRICS_PORT"]
    assert f"http://127.0.0.1:{port}/health" in job["healthcheck"]["test"][-1]
    assert job["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"port {port}" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_limit_and_publishes_on_loopback(service: str) -> None:
    about = SERVICES[service]
    assert megabytes(about["mem_limit"]) >= 512
    assert about["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in about.get("ports", ()))
    assert re.search(r":\d+\.\d+\.\d+$", about["image"]), "pinned by version"


def test_local_images_stand_in_for_every_service() -> None:
    local = yaml.safe_load((ROOT / "tests/compose/docker-compose.local.yml").read_text(encoding="utf-8"))["services"]
    assert set(local) == set(SERVICES)
    assert all(set(service) == {"image"} for service in local.values())


def test_the_python_of_the_image_is_one_that_the_package_runs_on() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [minor] = re.findall(r"^ARG PYTHON_IMAGE=python:3\.(\d+)\.\d+-slim-bookworm$", dockerfile, re.MULTILINE)
    assert f"lib/python3.{minor}/" in dockerfile
    assert int(minor) in (11, 12)
