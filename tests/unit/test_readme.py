"""The README cannot drift: its commands exist, and every command is in it."""

import re
from pathlib import Path

from adstream.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> set[str]:
    named = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    return named | {group.name for group in app.registered_groups if group.name}


def test_every_command_is_in_the_readme() -> None:
    missing = {name for name in commands() if not re.search(rf"`(adstream )?{name}\b", README)}
    assert missing == set()


def test_every_command_in_the_readme_exists() -> None:
    assert set(re.findall(r"adstream (?!ads_)([a-z]+)(?=[ `\"<])", README)) <= commands()


def test_every_make_target_in_the_readme_and_contributing_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    said = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", said, re.MULTILINE)) <= targets


def test_the_path_of_an_event_is_as_long_as_the_readme_says() -> None:
    path = README[README.index("Then follow an event") :].split("\n\n")[1]
    files = re.findall(r"\]\((streaming/[a-z_/]+\.py)\)", path)
    lines = sum(len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in files)
    assert (len(files), f"{round(lines, -2):,}") == (13, "1,900")
    assert README.count("1,900 lines") == 2
