"""The list of JVM parts: `ivy.xml` names the wanted parts, `parts.xml` the files, `parts.sha256` their sums.

Real-time mode has its own list: `real-time.xml`, `real-time-parts.xml`, `real-time.sha256`.

Ivy needs several hundred requests for POMs and their parents to resolve the list. That takes three of the four minutes
of a first fetch. The result is always the same. So these files record it, as a lock file does. `make parts-sums`
resolves it again.
"""

import shutil
import xml.etree.ElementTree as Xml
from collections.abc import Sequence
from pathlib import Path

from common.settings import Settings
from stack import ivy, parts, real_time
from stack.host.signals import ending_raises

_CLASSIFIER = "m:classifier"
_HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `make parts-sums` from {}. It names every file, so Ivy resolves nothing. -->
"""


def as_locked(reports: dict[str, Path], wanted: str = ivy.WANTED.name) -> str:
    """Turn Ivy's own reports, one per configuration, into an `ivy.xml` that names every file and follows nothing."""
    module = Xml.Element("ivy-module", {"version": "2.0", "xmlns:m": "http://ant.apache.org/ivy/maven"})
    Xml.SubElement(module, "info", organisation="adstream", module="parts")
    configurations = Xml.SubElement(module, "configurations")
    dependencies = Xml.SubElement(module, "dependencies")
    for configuration, report in reports.items():
        Xml.SubElement(configurations, "conf", name=configuration)
        for found in sorted(Xml.parse(report).iterfind("dependencies/module"), key=_name):  # noqa: S314 - Ivy's own
            for revision in found.iterfind("revision"):
                artifacts = revision.findall("artifacts/artifact")
                if artifacts:
                    dependencies.append(_dependency(configuration, found, revision, artifacts))
    Xml.indent(module)
    return _HEADER.format(wanted) + Xml.tostring(module, encoding="unicode") + "\n"


def _name(module: Xml.Element) -> tuple[str, str]:
    return module.attrib["organisation"], module.attrib["name"]


def _dependency(
    configuration: str, module: Xml.Element, revision: Xml.Element, artifacts: list[Xml.Element]
) -> Xml.Element:
    organisation, name = _name(module)
    dependency = Xml.Element("dependency", org=organisation, name=name, rev=revision.attrib["name"])
    dependency.attrib |= {"conf": f"{configuration}->default", "transitive": "false"}
    for artifact in sorted(artifacts, key=lambda one: one.get("extra-1.m.classifier", "")):
        extension = artifact.attrib["ext"]
        written = Xml.SubElement(dependency, "artifact", name=artifact.attrib["name"], type=extension, ext=extension)
        if classifier := artifact.get("extra-1.m.classifier"):
            written.set(_CLASSIFIER, classifier)
    return dependency


def make() -> None:
    """Resolve the wanted parts, fetch them, and write the lists and the sums.

    Only this function trusts the network.
    """
    for wanted, listed, sums, configurations in (
        (ivy.WANTED, ivy.LISTED, parts.SUMS, ivy.CONFIGURATIONS),
        (real_time.WANTED, real_time.LISTED, real_time.SUMS, real_time.CONFIGURATIONS),
    ):
        files = _make(wanted, listed, sums, configurations)
        print(f"{files} files listed in {listed.name} and {sums.name}")


def _make(wanted: Path, listed: Path, sums: Path, configurations: Sequence[str]) -> int:
    settings = Settings().stack
    work = parts.cache_root(settings) / "parts-to-list"
    shutil.rmtree(work, ignore_errors=True)
    fetched, downloads = work / "fetched", work / "downloads"
    fetched.mkdir(parents=True)
    with ending_raises():
        ivy.retrieve(
            settings,
            wanted,
            into=fetched,
            downloads=downloads,
            expected=None,
            report=print,
            configurations=configurations,
            resolve=True,
        )
        reports = {name: downloads / f"adstream-{_module(wanted)}-{name}.xml" for name in configurations}
        listed.write_text(as_locked(reports, wanted.name), encoding="utf-8")
        names = sorted(path for path in fetched.glob("*/*") if path.is_file())
        lines = [f"{parts.sum_of(path)}  {path.relative_to(fetched).as_posix()}\n" for path in names]
        sums.write_text("".join(lines), encoding="ascii")
        shutil.rmtree(work)
    return len(lines)


def _module(wanted: Path) -> str:
    return Xml.parse(wanted).getroot().find("info").attrib["module"]  # type: ignore[union-attr] # noqa: S314 - ours


if __name__ == "__main__":
    make()
