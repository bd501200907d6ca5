"""The files on docs/add-a-pattern.md fit the code: their numbers and their imports.

tests/e2e/test_add_a_pattern.py follows the whole page, and is not part of `make test`.
"""

import ast
import importlib
from pathlib import Path

import pytest

from common.cassandra.cql_files import committed
from tests.pages import files_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-pattern.md").read_text(encoding="utf-8")
FILES = files_of(PAGE)
MODULES = {name: text for name, text in FILES.items() if name.endswith(".py")}


def module_of(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".")


def test_the_migrations_of_the_examples_follow_ours(tmp_path: Path) -> None:
    for path in (ROOT / "cql").glob("*.cql"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    added = {name: text for name, text in FILES.items() if name.startswith("cql/")}
    assert added
    for name, text in added.items():
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    numbered = [migration.label for migration in committed(tmp_path)]
    assert numbered[-len(added) :] == [Path(name).stem for name in added]


@pytest.mark.parametrize("name", MODULES)
def test_an_example_imports_only_names_that_exist(name: str) -> None:
    of_page = {module_of(each): ast.parse(text) for each, text in MODULES.items()}
    imports = [node for node in ast.walk(of_page[module_of(name)]) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        assert node.module is not None
        tree = of_page.get(node.module)
        there = vars(importlib.import_module(node.module)) if tree is None else names_of(tree)
        assert {each.name for each in node.names} <= set(there), node.module


def names_of(tree: ast.Module) -> set[str]:
    """Return the names that a module of the page defines."""
    named = (ast.FunctionDef, ast.ClassDef)
    assigned = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return {node.name for node in tree.body if isinstance(node, named)} | {
        target.id for target in assigned if isinstance(target, ast.Name)
    }
