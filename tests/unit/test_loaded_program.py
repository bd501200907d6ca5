"""A fork of the loaded program is like the program: its output, its exit code, its environment, and its end."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.loaded_program import LoadedProgram


@pytest.fixture(scope="module")
def program() -> Iterator[LoadedProgram]:
    loaded = LoadedProgram()
    yield loaded
    loaded.end()


@pytest.mark.parametrize("arguments", [["--version"], ["jobs"], ["stream", "ad-metric"], ["--no-such-option"]])
def test_it_says_and_ends_as_one_that_python_has_started(program: LoadedProgram, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "adstream.cli", *arguments]
    started = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert program.run(arguments, os.environ, 60) == (started.returncode, started.stdout, started.stderr)


def test_it_has_the_environment_and_the_folder_of_the_call(
    program: LoadedProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        code, said, _ = program.run(["secure"], os.environ | {"ADSTREAM_DATA_DIR": f"of-{number}"}, 60)
        assert code == 0, said
        assert (folder / f"of-{number}" / "secured" / "ca.pem").is_file()


def test_what_python_reads_at_its_start_needs_a_start(program: LoadedProgram) -> None:
    assert program.suits(["jobs"], os.environ | {"ADSTREAM_DATA_DIR": "x", "TZ": "Asia/Tokyo"})
    for name in ("PYTHONPATH", "LC_ALL", "SPARK_HOME", "TMPDIR"):
        assert not program.suits(["jobs"], os.environ | {name: "/nowhere"})


def test_a_command_that_starts_spark_has_a_start_of_its_own(program: LoadedProgram) -> None:
    assert not program.suits(["--env-file", "x", "stream", "ad-metrics"], os.environ)


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(program: LoadedProgram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        slow = os.environ | {"ADSTREAM_REGISTRY_URL": url, "ADSTREAM_REGISTRY_TIMEOUT_SECONDS": "60"}
        with pytest.raises(TimeoutError):
            program.run(["schema", "check", "ads_data"], slow, 1)
    assert psutil.Process(program.server).children() == []
    assert program.run(["--version"], os.environ, 60)[0] == 0
