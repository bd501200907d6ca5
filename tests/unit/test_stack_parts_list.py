"""The list of files agrees with the wanted parts and with the checksums."""

import xml.etree.ElementTree as Xml
from pathlib import Path

from stack import ivy, parts
from stack.parts_list import as_locked

REPORT = """<ivy-report version="1.0"><dependencies>
  <module organisation="org.b" name="epoll"><revision name="4.1"><artifacts>
    <artifact name="epoll" type="bundle" ext="jar" extra-1.m.classifier="linux"/>
    <artifact name="epoll" type="bundle" ext="jar"/>
  </artifacts></revision></module>
  <module organisation="org.a" name="api">
    <revision name="1.6" evicted="latest-revision"/>
    <revision name="1.7"><artifacts><artifact name="api" type="jar" ext="jar"/></artifacts></revision>
  </module>
</dependencies></ivy-report>"""

LOCKED = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by `make parts-sums` from ivy.xml. It names every file, so Ivy resolves nothing. -->
<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">
  <info organisation="adstream" module="parts" />
  <configurations>
    <conf name="kafka" />
  </configurations>
  <dependencies>
    <dependency org="org.a" name="api" rev="1.7" conf="kafka-&gt;default" transitive="false">
      <artifact name="api" type="jar" ext="jar" />
    </dependency>
    <dependency org="org.b" name="epoll" rev="4.1" conf="kafka-&gt;default" transitive="false">
      <artifact name="epoll" type="jar" ext="jar" />
      <artifact name="epoll" type="jar" ext="jar" m:classifier="linux" />
    </dependency>
  </dependencies>
</ivy-module>
"""


def test_a_report_becomes_a_list_without_evicted_versions(tmp_path: Path) -> None:
    (tmp_path / "kafka.xml").write_text(REPORT)
    assert as_locked({"kafka": tmp_path / "kafka.xml"}) == LOCKED


def test_every_listed_file_has_a_sum_and_the_other_way_round() -> None:
    listed = set()
    for dependency in Xml.parse(ivy.LISTED).iterfind("dependencies/dependency"):
        configuration = dependency.attrib["conf"].removesuffix("->default")
        for artifact in dependency.iterfind("artifact"):
            classifier = artifact.get("{http://ant.apache.org/ivy/maven}classifier")
            version = "-".join([dependency.attrib["rev"], *([classifier] if classifier else [])])
            listed.add(f"{configuration}/{artifact.attrib['name']}-{version}.{artifact.attrib['ext']}")
    assert listed == parts.read_sums().keys()


def test_what_is_wanted_is_in_the_list_in_the_wanted_version() -> None:
    listed = {(one.attrib["name"], one.attrib["rev"]) for one in Xml.parse(ivy.LISTED).iter("dependency")}
    wanted = {(one.attrib["name"], one.attrib["rev"]) for one in Xml.parse(ivy.WANTED).iter("dependency")}
    assert wanted <= listed
