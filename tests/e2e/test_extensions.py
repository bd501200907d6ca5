"""A job, a source and a sink of an installed package: the program finds them, runs them, and reports a broken one."""

from pathlib import Path

import pytest

from tests.e2e.commands import one_line
from tests.e2e.extension import NAME, Extension


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Extension:
    made = Extension(tmp_path_factory.mktemp("extension"))
    made.install()
    return made


def said(extension: Extension, *arguments: str, **environment: str) -> str:
    done = extension.adstream(*arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_jobs_events_come_from_the_packages_source_and_end_in_its_sink(extension: Extension, tmp_path: Path) -> None:
    inbox, lines = tmp_path / "inbox", tmp_path / "lines"
    produced = said(extension, "produce", "long-notes", "--sample", "--files", str(inbox))
    assert f"next: adstream stream long-notes --files {inbox}" in produced
    run = ("stream", "long-notes", "--files", str(inbox), "--once", "--sink", "note-lines", "--at-least", "4")
    said(extension, *run, NOTE_LINES=str(lines))
    assert sorted(lines.read_text(encoding="utf-8").splitlines()) == ["w4 4", "w5 5"]
    again = said(extension, *run, NOTE_LINES=str(lines))
    assert len(lines.read_text(encoding="utf-8").splitlines()) == 2, again
    other = extension.adstream(*run[:-1], "5", NOTE_LINES=str(lines))
    assert "was made with at_least=4, not 5" in one_line(other)


def test_the_job_is_listed_explained_and_has_its_own_options(extension: Extension) -> None:
    assert "\nlong-notes " in said(extension, "jobs")
    assert "contract notes, version 1" in said(extension, "explain", "long-notes")
    shown = " ".join(said(extension, "stream", "long-notes", "--help").split())
    assert "--at-least <int> Shorter notes are left out. [default: 3]" in shown
    assert "there is no sink note-line; did you mean note-lines?" in one_line(
        extension.adstream("stream", "long-notes", "--sink", "note-line")
    )


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("stream long", "long-notes"),
        ("produce no", "notes"),
        ("stream long-notes --at", "--at-least"),
        ("stream long-notes --sink ", "note-lines"),
    ],
)
def test_the_shell_is_offered_its_names(extension: Extension, typed: str, offered: str) -> None:
    words = f"adstream {typed}"
    place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    assert said(extension, _ADSTREAM_COMPLETE="complete_bash", **place).split() == [offered]


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("__init__.py", "from datetime", "import not_there\nfrom datetime", "No module named 'not_there'"),
        ("__init__.py", "JOBS = [Job(", "JOBS = [dict, Job(", "type is no Job"),
        (
            "__init__.py",
            "at_least: Annotated[int,",
            "at_least: Annotated[list,",
            "cannot be an option: its type",
        ),
        ("__init__.py", "import timedelta", "import timedelta\nraise SystemExit('enough')", "SystemExit: enough"),
    ],
)
def test_a_broken_package_is_one_line_that_names_it(tmp_path: Path, file: str, old: str, new: str, why: str) -> None:
    broken = Extension(tmp_path)
    code = broken.sources / "notes" / file
    text = code.read_text(encoding="utf-8")
    assert old in text
    code.write_text(text.replace(old, new, 1), encoding="utf-8")
    broken.install()
    line = one_line(broken.adstream("stream", "ad-metrics", "--once"))
    assert why in line
    assert f"package {NAME} is broken: its adstream.jobs entry point notes = notes:JOBS: " in line
    assert line.endswith(f"correct the package, or `pip uninstall {NAME}`")


def test_a_broken_sink_is_one_line_that_names_its_package(tmp_path: Path) -> None:
    broken = Extension(tmp_path)
    (broken.sources / "notes" / "sinks.py").write_text("class Lines:\n    pass\n", encoding="utf-8")
    broken.install()
    line = one_line(broken.adstream("stream", "long-notes", "--sink", "note-lines"))
    assert (
        f"package {NAME} is broken: its adstream.sinks entry point note-lines = notes.sinks:Lines: Lines has no" in line
    )


def test_a_name_of_adstreams_own_is_refused(tmp_path: Path) -> None:
    package = Extension(tmp_path)
    code = package.sources / "notes" / "__init__.py"
    code.write_text(code.read_text(encoding="utf-8").replace('Job("long-notes"', 'Job("logins"'), encoding="utf-8")
    package.install()
    assert f"logins in {NAME} (notes:JOBS) is adstream's own name; choose another one" in one_line(
        package.adstream("jobs")
    )
