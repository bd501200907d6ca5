"""Each script in findings/ can be run as it is, cleans up after itself, and has a line on the page."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_is_a_script_with_a_line_on_the_page(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/bin/bash\n# ")
    assert "set -euo pipefail\nwork=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT\n" in text
    assert "# Why it matters: " in text
    assert "# Source: " in text
    assert f"]({script.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_line_of_the_page_has_its_script() -> None:
    lines = [line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    assert len(lines) == len(SCRIPTS) > 8
