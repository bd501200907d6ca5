"""The help of every command ends with examples, and the program accepts each of them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from adstream.cli import app

# These commands only show help. Their subcommands have the examples.
GROUPS = [[], ["dead-letters"], ["schema"]]


def walk(command: Any, path: list[str]) -> Iterator[list[str]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, [*path, name])


def examples(path: list[str]) -> list[str]:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    return re.findall(r"Example[^`\n]*: `(adstream [^`]+)`", shown.output)


def taken(example: str) -> list[str]:
    """Return the path of the command that an example runs.

    Raises for an option or a value that the command does not take.
    """
    command: Any = get_command(app)
    words = shlex.split(example.split(" | ")[0])[1:]
    path = []
    while hasattr(command, "commands"):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    command.make_context(path[-1], words)
    return path


@pytest.mark.parametrize("path", list(walk(get_command(app), [])), ids=lambda path: " ".join(path) or "adstream")
def test_help_has_examples_that_can_be_typed(path: list[str]) -> None:
    found = examples(path)
    assert found
    for example in found:
        assert taken(example)[: len(path)] == path


@pytest.mark.parametrize(
    "path",
    [path for path in walk(get_command(app), []) if path not in GROUPS],
    ids=" ".join,
)
def test_the_words_about_a_command_end_with_its_examples(path: list[str]) -> None:
    command: Any = get_command(app)
    for name in path:
        command = command.commands[name]
    paragraphs = [each.strip() for each in command.help.split("\n\n")]
    first = next(at for at, each in enumerate(paragraphs) if each.startswith("Example"))
    assert first > 0
    assert all(re.fullmatch(r"Example[^`]*: `adstream [^`]+`", each) for each in paragraphs[first:])


def test_an_example_with_an_option_that_is_not_there_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option: --nothing"):
        taken("adstream jobs --nothing")
