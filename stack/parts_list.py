"""The list of JVM parts: `ivy.xml` says what is wanted, `parts.xml` which files that is, `parts.sha256` their sums.

Finding out takes Ivy several hundred requests for POMs and their parents, three of the four minutes of a first fetch,
and its answer is the same every time; so it is written down, as a lock file. `make parts-sums` does it anew.
"""

import shutil
import xml.etree.ElementTree as Xml
from pathlib import Path

from adstream.settings import Settings
from stack import ivy, parts
from stack.signals import ending_raises

_CLASSIFIER = "m:classifier"
_HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `make parts-sums` from ivy.xml: every file, with nothing left to find out. -->
"""


def as_locked(reports: dict[str, Path]) -> str:
    """Ivy's own reports, one per configuration, as an `ivy.xml` that names every file and follows nothing."""
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
    return _HEADER + Xml.tostring(module, encoding="unicode") + "\n"


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
    """Resolve `ivy.xml`, fetch, and write the list and the sums: the one moment when the network is believed."""
    settings = Settings().stack
    work = parts.cache_root(settings) / "parts-to-list"
    shutil.rmtree(work, ignore_errors=True)
    fetched, downloads = work / "fetched", work / "downloads"
    fetched.mkdir(parents=True)
    with ending_raises():
        ivy.retrieve(settings, ivy.WANTED, into=fetched, downloads=downloads, expected=None, report=print)
        reports = {name: downloads / f"adstream-parts-{name}.xml" for name in ivy.CONFIGURATIONS}
        ivy.LISTED.write_text(as_locked(reports), encoding="utf-8")
        names = sorted(path for path in fetched.glob("*/*") if path.is_file())
        sums = [f"{parts.sum_of(path)}  {path.relative_to(fetched).as_posix()}\n" for path in names]
        parts.SUMS.write_text("".join(sums), encoding="ascii")
        shutil.rmtree(work)
    print(f"{len(sums)} files listed in {ivy.LISTED.name} and {parts.SUMS.name}")


if __name__ == "__main__":
    make()
