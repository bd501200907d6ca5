"""Every link between the pages leads to an existing file and heading, and every page is in an index."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.jobs import JOBS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
_CODE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)|^\[[^]]+\]: (\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)


def prose(page: Path) -> str:
    """Return the page without its blocks of code. Text in `spans` is no link either."""
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, anchor) of each link within the repository. Either may be empty."""
    for inline, named in _LINK.findall(re.sub(r"`[^`\n]*`", "code", prose(page))):
        target = inline or named
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them: a repeated heading gets a number."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(prose(page)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{file} is not there"
        assert target.is_relative_to(ROOT), f"{file} is outside of the project"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{file or page.name} has no heading #{anchor}"


@pytest.mark.parametrize(
    "index", [DOCS / "README.md", *sorted(DOCS.glob("*/README.md"))], ids=lambda page: page.parent.name
)
def test_an_index_lists_every_page_beside_it_and_the_indexes_below(index: Path) -> None:
    listed = {(index.parent / file).resolve() for file, _ in links(index) if file}
    # `adstream jobs` is the index of the jobs' pages. Each page has its job's name (tests/unit/test_jobs.py).
    of_jobs = {DOCS / "patterns" / f"{name}.md" for name in (*JOBS, *BATCH_JOBS)}
    wanted = {*index.parent.glob("*.md"), *index.parent.glob("*/README.md")} - {index} - of_jobs
    assert wanted <= listed, wanted - listed


def test_every_page_is_in_an_index() -> None:
    folders = {page.parent for page in DOCS.rglob("*.md")}
    assert {folder for folder in folders if not (folder / "README.md").is_file()} == set()


def test_there_are_links_and_headings_to_check() -> None:
    assert sum(len(list(links(page))) for page in PAGES) > 200
    assert any(anchor for page in PAGES for _, anchor in links(page))
    assert anchors(DOCS / "make-it-yours.md") >= {"make-it-yours", "what-else-there-is-to-know"}
