"""One function prints all output: commands, jobs and services print by no other way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("adstream", "common", "consumer", "producer", "stack", "streaming")
# The two files that print, and the developers' tools, which print names of files.
PRINTERS = {"common/text/shown.py", "common/text/terminal.py", "stack/parts_list.py", "stack/bill_of_materials.py"}
# These files print only strict ASCII JSON that they make themselves, a version number, or rows for nobody.
EXACT = {"adstream/documents.py", "adstream/cli.py", "streaming/class_training.py"}


def printing(tree: ast.AST) -> Iterator[str]:
    """Yield calls that print a string, or that let Rich interpret markup or short codes in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "Console" | "escape" as name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="typer"), attr="echo" | "secho" as name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="Text"), attr="from_markup" as name)):
                yield name
            case ast.keyword(arg="markup" | "emoji" as name, value=ast.Constant(value=True)):
                yield name


FILES = sorted(str(file.relative_to(ROOT)) for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("file", [file for file in FILES if file not in PRINTERS | EXACT])
def test_a_file_prints_by_the_function_that_shows_values_as_text(file: str) -> None:
    assert list(printing(ast.parse((ROOT / file).read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "source", ["print(x)", "typer.echo(x)", "Console().print(x)", "Text.from_markup(x)", "out.print(x, markup=True)"]
)
def test_another_way_would_be_noticed(source: str) -> None:
    assert list(printing(ast.parse(source)))
