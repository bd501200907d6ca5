"""Pages name only tests that exist, and docs/guarantees.md names every fault test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
REPORT = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
INTEROPERABILITY = (ROOT / "docs" / "interoperability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [PAGE, REPORT, INTEROPERABILITY], ids=["guarantees", "report", "interoperability"])
def test_every_named_test_exists(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 15
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8") if test else (ROOT / file).is_file(), file


def test_every_fault_test_stands_behind_a_promise() -> None:
    for file in (ROOT / "tests" / "faults").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"tests/faults/{file.name}::{test}" in PAGE


def test_every_line_about_a_producer_names_its_test() -> None:
    rows = [line for line in INTEROPERABILITY.splitlines() if line.startswith("| ")]
    lines = [row for row in rows if not row.endswith("| what happens | test |")]
    assert len(lines) > 25
    for line in lines:
        assert re.search(r"`tests/[\w/]+\.py::test_\w+` \|$", line), line
