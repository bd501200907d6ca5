"""`.ci/outside` runs targets in a fresh clone, as somebody who has nothing of this shell, and leaves nothing behind."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = """
fine:
\t@test ! -e not-committed
broken:
\t@id -u && env && touch "$$HOME/mine" && ls && false
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the script, two targets, and a file that is not committed."""
    made = tmp_path / "the repository"
    (made / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "outside", made / ".ci")
    (made / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *arguments], cwd=made, check=True, timeout=60)
    (made / "not-committed").touch()
    return made


def outside(repository: Path, *targets: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", repository / ".ci" / "outside", *targets],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def users() -> set[str]:
    return {each.pw_name for each in pwd.getpwall()}


def test_it_runs_what_is_committed_and_prints_a_row(repository: Path) -> None:
    before = users()
    done = outside(repository, "fine", "fine")
    assert (done.returncode, done.stderr) == (0, "")
    one, other = done.stdout.splitlines()
    assert re.fullmatch(r"\| \d{4}-\d\d-\d\d \| `make fine` \| .+, no Python needed \| passed, in \d+ s \|", one)
    assert other.startswith(one.partition(" | passed")[0])
    assert ("a user without root" in one) == (os.geteuid() == 0)
    assert users() == before


def test_a_failed_target_ends_it_and_shows_why(repository: Path) -> None:
    before = users()
    done = outside(repository, "broken", "fine", SECRET="canary", ADSTREAM_X="a 'b' $c", HTTPS_PROXY="http://p:1")
    assert done.returncode == 1
    assert re.search(r"\| `make broken` \| .+ \| failed, in \d+ s \|$", done.stdout)
    assert "make fine" not in done.stdout
    lines = done.stderr.splitlines()
    assert "not-committed" not in lines
    assert "canary" not in done.stderr
    assert {"ADSTREAM_X=a 'b' $c", "HTTPS_PROXY=http://p:1"} <= set(lines)
    [stays] = re.findall(r"the clone and the log stay in (\S+)", done.stderr)
    [home] = re.findall(r"^HOME=(.+)$", done.stderr, re.MULTILINE)
    assert (Path(home).parent, Path(home, "mine").is_file()) == (Path(stays), True)
    if os.geteuid() == 0:
        assert int(next(line for line in lines if line.isdigit())) not in (0, *(each.pw_uid for each in pwd.getpwall()))
    shutil.rmtree(stays)
    assert users() == before


def test_without_a_target_it_says_how(repository: Path) -> None:
    done = outside(repository)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no make target is named; for example: sh .ci/outside demo down\n"
