"""Spark's class archive: which one a driver takes, and when none."""

import json
import os
import shlex
from pathlib import Path

import pytest

from common.settings import StackSettings
from stack.host.java import Java
from streaming.spark import class_archive
from streaming.spark.class_archive import home, java_option, make


def file(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (1_000_000, 1_000_000))
    return path


@pytest.fixture
def java(tmp_path: Path) -> Java:
    file(tmp_path / "java" / "release", "17")
    return Java(tmp_path / "java", "17.0.1", "a test")


@pytest.fixture
def pyspark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a", "b"):
        file(tmp_path / "pyspark" / "jars" / f"{name}.jar", name)
    monkeypatch.setattr(class_archive, "pyspark_folder", lambda: tmp_path / "pyspark")
    return tmp_path / "pyspark"


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(cache_dir=tmp_path / "cache folder")


def archive(settings: StackSettings, java: Java, pyspark: Path, *names: str) -> Path:
    assert settings.cache_dir
    folder = home(settings.cache_dir, java, pyspark)
    for name in names:
        file(folder / name, "classes")
    file(folder / "sizes.json", json.dumps(dict.fromkeys(names, len("classes"))))
    return folder


def test_it_is_named_by_java_and_by_pysparks_jars(tmp_path: Path, java: Java, pyspark: Path) -> None:
    def name(other: Java = java) -> str:
        return home(tmp_path, other, pyspark).name

    first = name()
    assert name() == first
    assert name(Java(java.home, "17.0.2", "")) != first
    assert name(Java(tmp_path / "another", "17.0.1", "")) != first
    assert name(Java(java.home, "17.0.1", "found elsewhere")) == first

    seen = {first}
    for changed, content in [
        (pyspark / "jars" / "a.jar", "larger"),
        (pyspark / "jars" / "c.jar", ""),
        (java.home / "release", "17.0.1+9"),
        (java.home / "lib" / "server" / "classes.jsa", ""),
    ]:
        file(changed, content)
        assert name() not in seen
        seen.add(name())
    os.utime(pyspark / "jars" / "b.jar", (2_000_000, 2_000_000))
    assert name() not in seen
    assert {each.rpartition("-")[0] for each in seen} == {first.rpartition("-")[0]}


def test_without_an_archive_there_is_no_option(settings: StackSettings, java: Java, pyspark: Path) -> None:
    assert java_option(settings, java) == ""
    folder = archive(settings, java, pyspark, "spark.jsa")
    assert java_option(settings, java)
    (folder / "sizes.json").unlink()
    assert java_option(settings, java) == ""


@pytest.mark.parametrize("names", [("spark.jsa",), ("java.jsa", "spark.jsa")])
def test_a_whole_archive_is_named_to_java(
    settings: StackSettings, java: Java, pyspark: Path, names: tuple[str, ...]
) -> None:
    folder = archive(settings, java, pyspark, *names)
    option, quiet = shlex.split(java_option(settings, java))
    assert option == "-XX:SharedArchiveFile=" + ":".join(str(folder / name) for name in names)
    assert quiet == "-Xlog:cds*=off"


def test_an_archive_that_was_cut_short_is_not_used(settings: StackSettings, java: Java, pyspark: Path) -> None:
    folder = archive(settings, java, pyspark, "spark.jsa")
    (folder / "spark.jsa").write_text("class")
    assert java_option(settings, java) == ""


def test_a_new_archive_replaces_that_of_former_jars_and_no_other(
    settings: StackSettings, java: Java, pyspark: Path, tmp_path: Path
) -> None:
    elsewhere = archive(settings, java, tmp_path / "other venv", "spark.jsa")
    former = archive(settings, java, pyspark, "spark.jsa")
    file(pyspark / "jars" / "c.jar", "")
    current = archive(settings, java, pyspark, "spark.jsa")
    class_archive._remove_older(current)
    assert (elsewhere.is_dir(), former.is_dir(), current.is_dir()) == (True, False, True)


def test_what_fails_is_told_in_one_line_and_leaves_nothing(
    settings: StackSettings, java: Java, pyspark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Java that cannot run stands for every possible failure."""
    assert settings.cache_dir
    monkeypatch.setattr(class_archive, "find_java", lambda _configured: java)
    monkeypatch.setattr(class_archive.parts, "ensure", lambda *_: None)
    said: list[str] = []
    make(settings, said.append)
    assert len(said) == 2
    assert said[1].startswith("there is no class archive, and Spark starts without one: ")
    assert "\n" not in said[1]
    assert list(settings.cache_dir.glob("classes-*")) == []
    assert java_option(settings, java) == ""
