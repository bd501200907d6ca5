"""List the components for scanners: every Python requirement and every jar, as a CycloneDX bill (`make sbom`).

Python parts come from the lock files. Jars are all jars on this machine: fetched jars, PySpark's, and the registry's,
which come from its archive. Each has its SHA-256. Real-time mode has its own PySpark and jars.
"""

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common.settings import Settings
from common.system.python_path import OWN_PARTS
from stack import parts, real_time
from stack.ivy import pyspark_folder

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)
_COORDINATES = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_FILE = re.compile(r"(?P<name>.+?)-(?P<version>\d.*)\.jar")


def bill(locks: Sequence[Path], jars: dict[str, Path]) -> dict[str, Any]:
    """Return the bill: pins of the lock files, and jars by the name of their folder."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "adstream", "version": version("adstream")}},
        "components": [
            *(each for lock in locks for each in _python(lock)),
            *(each for name, folder in jars.items() for each in _jars(name, folder)),
        ],
    }


def folders(settings: Settings) -> dict[str, Path]:
    """Return the folders of the jars. Fetches missing ones."""
    home, second = parts.ensure(settings.stack, _report), real_time.ensure(settings.stack, _report)
    fetched = {folder.name: folder for folder in sorted(home.iterdir()) if folder.is_dir()}
    in_real_time = {"real-time/pyspark": second / "pyspark" / "jars", "real-time/parts": second / OWN_PARTS}
    return {"pyspark": pyspark_folder() / "jars", **fetched, **in_real_time}


def _report(line: str) -> None:
    print(line, file=sys.stderr)


def _python(lock: Path) -> Iterator[dict[str, Any]]:
    for pin in _PIN.finditer(lock.read_text(encoding="utf-8")):
        yield _component(f"pkg:pypi/{pin['name'].lower()}@{pin['version']}", "", pin["name"], pin["version"])


def _jars(place: str, folder: Path) -> Iterator[dict[str, Any]]:
    for jar in sorted(folder.rglob("*.jar")):
        group, name, release = _named(jar)
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        purl = f"pkg:maven/{group}/{name}@{release}" if group else f"pkg:generic/{name}@{release}"
        component = _component(purl, group, name, release, f"{place}/{jar.relative_to(folder)}")
        yield component | {"hashes": [{"alg": "SHA-256", "content": digest}]}


def _named(jar: Path) -> tuple[str, str, str]:
    """Return group, name and version from the jar's own metadata, if it has one artifact, else from its file's name."""
    with zipfile.ZipFile(jar) as archive:
        accounts = [name for name in archive.namelist() if _COORDINATES.fullmatch(name)]
        if len(accounts) == 1:
            lines = archive.read(accounts[0]).decode("utf-8", "replace").splitlines()
            told = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
            if {"groupId", "artifactId", "version"} <= told.keys():
                return told["groupId"].strip(), told["artifactId"].strip(), told["version"].strip()
    parsed = _FILE.fullmatch(jar.name)
    return ("", parsed["name"], parsed["version"]) if parsed else ("", jar.stem, "")


def _component(purl: str, group: str, name: str, release: str, place: str = "") -> dict[str, Any]:
    named = {"group": group} if group else {}
    return {"type": "library", "bom-ref": place or purl, **named, "name": name, "version": release, "purl": purl}


def main() -> None:
    """Write the bill to standard output."""
    json.dump(bill([Path("requirements.lock"), real_time.LOCK], folders(Settings())), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
