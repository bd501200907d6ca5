"""The JVM parts: the stack never uses an unverified file."""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import pytest

from common.errors import StackError
from common.settings import StackSettings
from stack import ivy, parts
from tests.unit.second_process import waits_for_the_first


def write_parts(folder: Path) -> dict[str, str]:
    """Write a small set: a jar for Spark and the registry's archive. Return the checksums."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("runner.jar"), io.BytesIO())
    contents = {"spark/a-1.jar": b"jar", "registry/registry.tar.gz": archive.getvalue()}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_a_changed_a_missing_and_an_unknown_file_are_named(tmp_path: Path) -> None:
    sums = write_parts(tmp_path)
    parts.unpack_registry(tmp_path)
    assert parts.wrong_files(tmp_path, sums) == []
    (tmp_path / "spark" / "a-1.jar").write_bytes(b"jaR")
    assert parts.wrong_files(tmp_path, sums) == ["spark/a-1.jar"]
    (tmp_path / "spark" / "a-1.jar").unlink()
    (tmp_path / "spark" / "b-1.jar").write_bytes(b"jar")
    assert parts.wrong_files(tmp_path, sums) == ["spark/a-1.jar", "spark/b-1.jar"]


def test_the_committed_sums_cover_every_configuration() -> None:
    sums = parts.read_sums()
    assert {name.split("/")[0] for name in sums} == set(ivy.CONFIGURATIONS)
    assert all(len(digest) == 64 for digest in sums.values())


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(cache_dir=tmp_path / "cache")


def fetch_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, tampered: bool) -> None:
    """Replace Ivy by a function that writes the files. With `tampered`, one file arrives changed."""

    def retrieve(_settings: StackSettings, _names: Path, *, into: Path, **_others: object) -> None:
        write_parts(into)
        if tampered:
            (into / "spark" / "a-1.jar").write_bytes(b"something else")

    sums = tmp_path / "parts.sha256"
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in write_parts(tmp_path / "right").items()))
    monkeypatch.setattr(parts, "SUMS", sums)
    monkeypatch.setattr(ivy, "retrieve", retrieve)
    monkeypatch.setattr(parts.read_sums, "__defaults__", (sums,))


def test_fetched_parts_appear_whole_and_are_fetched_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: StackSettings
) -> None:
    fetch_writes(monkeypatch, tmp_path, tampered=False)
    home = parts.ensure(settings)
    assert (home / parts.REGISTRY_HOME / "runner.jar").is_file()
    monkeypatch.setattr(ivy, "retrieve", None)
    assert parts.ensure(settings) == home


def test_a_tampered_download_is_refused_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: StackSettings
) -> None:
    fetch_writes(monkeypatch, tmp_path, tampered=True)
    with pytest.raises(StackError, match=r"^spark/a-1\.jar is not the file whose SHA-256 sum is in parts\.sha256; "):
        parts.ensure(settings)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["parts.lock"]


def test_a_second_process_waits_for_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: StackSettings
) -> None:
    fetch_writes(monkeypatch, tmp_path, tampered=False)
    monkeypatch.setattr(ivy, "retrieve", None)  # a second fetch would fail
    said = waits_for_the_first(parts.home(settings), "parts.lock", lambda say: parts.ensure(settings, say))
    assert said == ["another process is fetching the JVM parts; waiting for it"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StackError, match=r"the cache .*/file/cache cannot be written: Not a directory; set ADSTREAM_STACK"
    ):
        parts.ensure(StackSettings(cache_dir=tmp_path / "file" / "cache"))


@pytest.mark.parametrize(("unpacking", "why"), [(False, "File exists"), (True, "Not a directory")])
def test_parts_that_cannot_be_written_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: StackSettings, *, unpacking: bool, why: str
) -> None:
    """Let a file in the way of a folder stand in for a full disk, before the fetch or before the archive's content."""
    fetch_writes(monkeypatch, tmp_path, tampered=False)
    home = parts.home(settings)

    def retrieve(_settings: StackSettings, _names: Path, *, into: Path, **_others: object) -> None:
        write_parts(into)
        (into / parts.REGISTRY_HOME).write_text("")

    if unpacking:
        monkeypatch.setattr(ivy, "retrieve", retrieve)
    else:
        home.parent.mkdir()
        home.with_name(f"{home.name}.partial").write_text("")
    problem = rf"^{home} cannot be made: {why}; free some disk, or set ADSTREAM_STACK_CACHE_DIR$"
    with pytest.raises(StackError, match=problem):
        parts.ensure(settings)
    assert not home.exists()


def test_why_ivy_failed_is_told_by_its_most_telling_line(tmp_path: Path) -> None:
    program = (
        "print('\\tfound a#b;1 in parts')\n"
        "print('\\t\\t[NOT FOUND  ] a#b;1')\n"
        "print('Server access error at url x (java.net.UnknownHostException: mirror.example)')\n"
        "print(':: USE VERBOSE ::')\n"
        "raise SystemExit(1)"
    )
    reason = ivy._run([sys.executable, "-c", program], tmp_path, 2, lambda _line: None)
    assert reason == "Server access error at url x (java.net.UnknownHostException: mirror.example)"
    assert ivy._run([sys.executable, "-c", "print('done')"], tmp_path, 2, lambda _line: None) == ""
