"""Another version of Apicurio than the stack's: fetched by its sum, and run by a Java that is new enough for it."""

import re
import xml.etree.ElementTree as Xml
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.settings import RegistrySettings, Settings
from stack import parts
from tests.e2e.lone_registry import lone_registry

LISTED = Path(__file__).with_name("other-registry.xml")
SUMS = LISTED.with_suffix(".sha256")
NEEDS_JAVA = 21
JAVAS = ("usr/lib/jvm/*", "opt/java/*")


def version() -> str:
    [listed] = Xml.parse(LISTED).iter("dependency")
    return listed.attrib["rev"]


def java() -> Path | None:
    """Return the program of a Java of this machine that can run the registry; None if there is none."""
    homes = sorted(home for pattern in JAVAS for home in Path("/").glob(pattern) if (home / "release").is_file())
    return next((home / "bin" / "java" for home in homes if _major(home) >= NEEDS_JAVA), None)


def _major(home: Path) -> int:
    named = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(encoding="utf-8"), re.MULTILINE)
    return int(named[1]) if named else 0


def program() -> Path:
    """Return the registry's program. Fetches it first, into the cache of the JVM parts. Raises StackError."""
    settings = Settings().stack
    target = parts.cache_root(settings) / f"registry-{version()}-{parts.sum_of(SUMS)[:16]}"
    with parts.alone(parts.cache_root(settings), target.name, "fetching another registry", print):
        if not target.is_dir():
            staging = target.with_name(f"{target.name}.partial")
            with parts.fetched(settings, LISTED, SUMS, into=staging, report=print, configurations=("registry",)):
                parts.unpack_registry(staging)
                staging.rename(target)
    return target / parts.REGISTRY_HOME / "quarkus-run.jar"


@contextmanager
def other_registry(folder: Path) -> Iterator[RegistrySettings]:
    """Run it until the block ends; skip the test on a machine without a Java for it."""
    found = java()
    if found is None:
        pytest.skip(f"NOT TESTED: Apicurio {version()}, as this machine has no Java from {NEEDS_JAVA} on")
    with lone_registry(folder, java=found, program=program()) as settings:
        yield settings
