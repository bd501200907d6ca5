"""docs/guarantees.md and docs/report.md name tests that exist, and every fault test is named in the first."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
REPORT = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [PAGE, REPORT], ids=["guarantees", "report"])
def test_every_named_test_exists(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 15
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8") if test else (ROOT / file).is_file(), file


def test_every_fault_test_stands_behind_a_promise() -> None:
    for file in (ROOT / "tests" / "faults").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"tests/faults/{file.name}::{test}" in PAGE
