"""A command that the program prints is right for a shell, also with a space or a quote in the data folder's path."""

import io
import re
import shlex
from pathlib import Path

import pytest

from adstream.commands.stack import _options
from adstream.tour.steps import Tour
from common import own_stack
from common.errors import JobFailed
from common.text.terminal import Terminal
from stack import state
from stack.security.secured import ROLES, Secured
from stack.state import State
from tests.e2e.commands import adstream

SECONDS = 60


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "the user's own data"
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def tour(data: Path, said: io.StringIO) -> Tour:
    """A tour in a folder whose services do not run. So each command ends at once."""
    state.write(data, State())
    return Tour(Terminal(file=said, width=1_000), wait=False)


def shown(text: str) -> list[str]:
    [line] = re.findall(r"^\$ adstream (.*)$", text, re.MULTILINE)
    return shlex.split(line)


def test_a_step_of_the_tour_runs_and_shows_the_same_command(tour: Tour, data: Path, said: io.StringIO) -> None:
    with pytest.raises(JobFailed):
        tour._verify()
    checkpoint = data / "checkpoints" / tour._topic
    assert shown(said.getvalue()) == ["verify", "ad-metrics", "--checkpoint", str(checkpoint)]
    assert f"error: {checkpoint} is not a checkpoint of a job" in said.getvalue()


def test_the_job_of_the_tour_is_the_command_that_it_shows(tour: Tour, data: Path, said: io.StringIO) -> None:
    tour._start_job("--once")
    assert tour._job is not None
    with tour._job._process:
        assert tour._job._ended.wait(SECONDS)
    assert shown(said.getvalue())[2:4] == ["--checkpoint", str(data / "checkpoints" / tour._topic)]
    assert f"of the stack in {data} does not run" in said.getvalue()


def test_the_next_command_after_a_sample_in_a_folder_names_the_folder_as_one_word(data: Path) -> None:
    inbox = data.parent / "my inbox"
    sent = adstream("produce", "user-clicks", "--sample", "--files", inbox)
    assert sent.returncode == 0, sent.stderr
    [command] = re.findall(r"next: adstream (.*)$", sent.stdout, re.MULTILINE)
    assert shlex.split(command)[:4] == ["stream", "user-clicks", "--files", str(inbox)]


def test_the_files_of_the_roles_are_named_as_one_word(data: Path) -> None:
    made = adstream("secure")
    assert made.returncode == 0, made.stderr
    lines = re.findall(r": (adstream --env-file .*)$", made.stdout, re.MULTILINE)
    files = [Path(shlex.split(line)[2]) for line in lines]
    assert files == [data / "secured" / f"{role}.env" for role in ROLES]
    comment = files[0].read_text(encoding="utf-8").splitlines()[1]
    [quoted] = re.findall("`(.*)`", comment)
    assert shlex.split(quoted)[2] == str(Secured(data / "secured").env_file("admin"))


def test_the_way_to_a_secured_stack_and_to_its_end_is_one_command(data: Path) -> None:
    state.write(data / "secured", State())
    found = own_stack.find(data, "kafka")
    assert found is not None
    [command] = re.findall("`(.*)`", found.remedy)
    assert shlex.split(command) == ["adstream", "--env-file", str(data / "secured" / "admin.env"), "..."]
    assert shlex.split(_options(data, secured=True)) == ["--data-dir", str(data), "--secured"]
