"""What the pages of docs/ hold for tests."""

import re

_FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """Return the files that a page shows, by name, in its order: a name as code on a line of its own, then a block."""
    return dict(_FILE.findall(page))
