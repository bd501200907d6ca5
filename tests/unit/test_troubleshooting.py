"""docs/troubleshooting.md quotes lines exactly as the code has them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
PACKAGES = ("adstream", "common", "consumer", "producer", "stack", "streaming")


def texts(source: str) -> Iterator[str]:
    """Yield every string of the source. In an f-string, `...` stands for each part that is not constant."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def quoted() -> list[str]:
    """Return the code spans at the start of headings and list items."""
    starts = re.findall(r"^(?:#+|-) ((?:`[^`\n]+`(?:, )?)+)", PAGE, re.MULTILINE)
    return [line for start in starts for line in re.findall(r"`([^`]+)`", start)]


def test_every_quoted_line_is_in_the_code() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    said = {text for file in files for text in texts(file.read_text(encoding="utf-8"))}
    lines = quoted()
    assert len(lines) > 80
    assert [line for line in lines if not any(line in text for text in said)] == []


def test_the_contents_list_every_section() -> None:
    anchors = re.findall(r"\]\(#([a-z-]+)\)", PAGE.partition("\n## ")[0])
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert anchors == [section.lower().replace(",", "").replace(" ", "-") for section in sections]
