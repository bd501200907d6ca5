"""docs/architecture.md draws the rooms of `streaming` in agreement with the imports."""

import re
import sys
import tomllib
from itertools import pairwise, product
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATTERNS = "streaming.patterns"


def drawn() -> tuple[dict[str, set[str]], set[tuple[str, str]]]:
    """Return node -> rooms, and the arrows between nodes."""
    drawing = PAGE[PAGE.index("The rooms of `streaming`") :].split("```")[1]
    nodes = {node: set(rooms.split(", ")) for node, rooms in re.findall(r'(\w+)\["([\w, ]+?)<br/>', drawing)}
    arrows = set()
    for line in drawing.splitlines():
        chain = re.sub(r'\[".*?"\]', "", line).split("-->")
        for left, right in pairwise(chain):
            arrows |= set(product(re.findall(r"\w+", left), re.findall(r"\w+", right)))
    return nodes, arrows


def test_every_import_between_rooms_follows_the_arrows_and_no_arrow_is_made_up() -> None:
    nodes, arrows = drawn()
    reached = set(arrows)
    for _ in nodes:
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    graph = grimp.build_graph("streaming", cache_dir=None)
    at = {room: node for node, rooms in nodes.items() for room in rooms}
    assert at.keys() == {child.split(".")[1] for child in graph.find_children("streaming")}
    imports = {
        (at[module.split(".")[1]], at[found.split(".")[1]])
        for module in graph.modules - {"streaming"}
        for found in graph.find_modules_directly_imported_by(module)
    }
    imports = {(here, there) for here, there in imports if here != there}
    assert imports - reached == set()
    assert arrows <= imports
    assert not {(there, here) for here, there in reached} & reached


def test_the_contract_about_patterns_names_every_other_room() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [
        each for each in settings["tool"]["importlinter"]["contracts"] if each.get("source_modules") == [PATTERNS]
    ]
    rooms = grimp.build_graph("streaming", cache_dir=None).find_children("streaming") - {PATTERNS}
    assert set(contract["forbidden_modules"]) == {"common", "stack", *rooms}


def test_a_pattern_imports_no_library_but_pyspark() -> None:
    graph = grimp.build_graph("streaming", include_external_packages=True, cache_dir=None)
    patterns = {PATTERNS, *graph.find_descendants(PATTERNS)}
    found = {name.split(".")[0] for each in patterns for name in graph.find_modules_directly_imported_by(each)}
    assert found - sys.stdlib_module_names == {"streaming", "pyspark"}
