"""Every error line for users says what is wrong and what to do, and names only commands that exist."""

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from adstream.cli import app
from common import errors
from common.errors import AdstreamError
from common.settings import ENV_FILE_OPTION, option_names

ROOT = Path(__file__).parents[2]
PACKAGES = ("adstream", "common", "consumer", "producer", "stack", "streaming")
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AdstreamError)}
# The placeholder for the parts of an f-string that only run time knows.
UNKNOWN = "…"
# Files whose errors another file catches and completes with a remedy.
TAKEN_UP = {
    "common/cassandra/migrations.py": "_apply",
    "consumer/decoding.py": "adstream consume prints it beside the bytes",
}


@dataclass(frozen=True)
class Line:
    """The place of an error, and its two halves: problem and remedies.

    A half is None if another error supplies it, for example when the code adds to a message.
    """

    place: str
    problem: str | None
    remedies: tuple[str, ...] | None


def text(node: ast.expr, constants: Mapping[str, ast.expr]) -> tuple[str, ...] | None:
    """Return the texts that an expression can give, one per branch; None if the texts are not in this file."""
    match node:
        case ast.Constant(value=str(said)):
            return (said,)
        case ast.JoinedStr(values=parts):
            return ("".join(str(part.value) if isinstance(part, ast.Constant) else UNKNOWN for part in parts),)
        case ast.IfExp(body=one, orelse=other):
            first, second = text(one, constants), text(other, constants)
            return None if first is None or second is None else first + second
        case ast.Call(func=ast.Name(id="did_you_mean"), args=[_, _, otherwise]):
            return text(otherwise, constants)
        case ast.Name(id=name) if name in constants:
            return text(constants[name], constants)
        case _:
            return None


def constants_of(module: ast.Module) -> dict[str, ast.expr]:
    """Return the module's own constants, by name."""
    return {
        node.targets[0].id: node.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def lines() -> Iterator[Line]:
    for file in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        constants = constants_of(module)
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                problem = text(node.args[0], constants) if node.args else ("",)
                remedies = text(node.args[1], constants) if len(node.args) > 1 else ("",)
                yield Line(f"{file.relative_to(ROOT)}:{node.lineno}", problem and problem[0], remedies)


LINES = list(lines())


def test_the_walk_finds_them() -> None:
    assert len(LINES) > 150
    assert sum(line.problem is not None and line.remedies is not None for line in LINES) > 150


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.place)
def test_a_line_says_what_is_wrong_and_what_to_do(line: Line) -> None:
    for half in (line.problem, *(line.remedies or ())):
        if half is not None:
            assert "\n" not in half
            assert not half.endswith(".") or half.endswith("...")
    assert line.problem != ""
    if line.place.partition(":")[0] not in TAKEN_UP and line.problem is not None:
        assert line.remedies is None or "" not in line.remedies


SAID = [(line.place, half) for line in LINES for half in (line.problem, *(line.remedies or ())) if half]


def command(words: list[str]) -> Any:
    """Return the command that these words run. Raises KeyError if there is none."""
    found: Any = get_command(app)
    rest = list(words)
    while hasattr(found, "commands"):
        found = found.commands[rest.pop(0)]
    return found


@pytest.mark.parametrize(
    ("place", "said"), [each for each in SAID if "`adstream" in each[1].replace(f"`adstream {UNKNOWN}`", "")]
)
def test_the_commands_that_a_line_quotes_exist_with_their_options(place: str, said: str) -> None:
    for quoted in re.findall(r"`adstream ([^`]+)`", said):
        words = shlex.split(quoted)
        known = {
            name for parameter in command([word for word in words if word != "..."]).params for name in parameter.opts
        }
        assert {word for word in words if word.startswith("--")} <= known, f"{place}: {quoted}"


@pytest.mark.parametrize(("place", "said"), SAID)
def test_the_settings_pages_and_targets_that_a_line_names_exist(place: str, said: str) -> None:
    known = [*option_names(), ENV_FILE_OPTION]
    for name in re.findall(r"ADSTREAM_[A-Z_]+(?!…)\b", said):
        assert any(option == name or option.startswith(f"{name}_") for option in known), f"{place}: {name}"
    for page in re.findall(r"docs/[\w/-]+\.md", said):
        assert (ROOT / page).is_file(), f"{place}: {page}"
    for target in re.findall(r"`make ([a-z-]+)", said):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), (
            f"{place}: {target}"
        )
