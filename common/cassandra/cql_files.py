"""The migrations in `cql/`: numbered files of plain CQL, `<version>_<name>.cql`, and their reader.

A user's project (common.project) also has a folder `cql/`, numbered from 001. Cassandra's schema changes have no
transactions: a file that fails half-way is applied again from its start. So each statement must be repeatable. A file
with any other statement is refused before it changes anything.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from common import extensions, project
from common.errors import MigrationError

_FILE_NAME = re.compile(r"(?P<version>\d{3,})_(?P<name>[a-z0-9_]+)\.cql")

_TOKEN = re.compile(
    r"""(?P<comment> --[^\n]* | //[^\n]* | /\*.*?\*/ )
      | (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | \$\$.*?\$\$ )
      | (?P<end> ; )
      | (?P<open> ['"] | \$\$ | /\* )
      | (?P<plain> . )""",
    re.DOTALL | re.VERBOSE,
)

_REPEATABLE = re.compile(
    r"""CREATE\ (TABLE|TYPE|INDEX|CUSTOM\ INDEX|MATERIALIZED\ VIEW|FUNCTION|AGGREGATE)\ IF\ NOT\ EXISTS\ .*
      | DROP\ (TABLE|TYPE|INDEX|MATERIALIZED\ VIEW|FUNCTION|AGGREGATE)\ IF\ EXISTS\ .*
      | ALTER\ (TABLE|TYPE)\ (IF\ EXISTS\ )?\S+\ ADD\ IF\ NOT\ EXISTS\ .*
      | ALTER\ TABLE\ (IF\ EXISTS\ )?\S+\ DROP\ IF\ EXISTS\ .*
      | ALTER\ (TABLE|TYPE)\ (IF\ EXISTS\ )?\S+\ RENAME\ IF\ EXISTS\ .*
      | ALTER\ TABLE\ (IF\ EXISTS\ )?\S+\ WITH\ .*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Migration:
    """One migration file. `text` is its content, with newlines as `\\n` on every system."""

    version: int
    name: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.version:03}_{self.name}"

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def statements(self) -> list[str]:
        """The statements in order. Raises MigrationError for a file that cannot be split or is not repeatable."""
        found = split(self.text, self.label)
        if not found:
            raise MigrationError(f"cql/{self.label}.cql holds no statement", "write one, or remove the file")
        for statement in found:
            if not is_repeatable(statement):
                raise MigrationError(
                    f"cql/{self.label}.cql cannot be applied twice: {statement[:60]}",
                    "write it with IF NOT EXISTS or IF EXISTS",
                )
        return found


def committed(folder: Traversable | None = None) -> list[Migration]:
    """Return all files of `cql/`, or of `folder`, in order. Raises MigrationError for a gap or a repeated number."""
    entries: Iterable[Traversable] = (folder or resources.files("cql")).iterdir()
    found = []
    for entry in entries:
        if match := _FILE_NAME.fullmatch(entry.name):
            found.append(Migration(int(match["version"]), match["name"], entry.read_text(encoding="utf-8")))
        elif entry.name.endswith(".cql"):
            raise MigrationError(f"cql/{entry.name} is not a migration's name", "name it like 003_what_it_makes.cql")
    found.sort(key=lambda migration: (migration.version, migration.name))
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(
                f"cql/{migration.label}.cql stands where number {expected:03} belongs", "number the files from 001 on"
            )
    return found


def of_project() -> list[Migration]:
    """Return the migrations of the user's project, as `committed` does; none without a project."""
    folder = project.folder("cql")
    return [] if folder is None else committed(folder)


def of_packages() -> dict[str, list[Migration]]:
    """Return table of records -> migrations, for the project and each installed package (common.extensions)."""
    own = of_project()
    found = {"project_migrations": own} if own else {}
    for package, root in extensions.roots().items():
        if (root / "cql").is_dir():
            found[f"migrations_of_{package.lower()}"] = committed(root / "cql")
    return found


def split(text: str, label: str = "text") -> list[str]:
    """Return CQL statements without comments and semicolons. Comments and semicolons inside quotes stay."""
    statements: list[str] = []
    current: list[str] = []
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "open":
            line = text.count("\n", 0, token.start()) + 1
            raise MigrationError(f"{label} opens a {token.group()} in line {line} and does not close it", "close it")
        if token.lastgroup == "end":
            statements.append("".join(current).strip())
            current = []
        else:
            current.append(" " if token.lastgroup == "comment" else token.group())
    statements.append("".join(current).strip())
    return [statement for statement in statements if statement]


def is_repeatable(statement: str) -> bool:
    """Return whether a change of schema does the same when it runs a second time."""
    return _REPEATABLE.fullmatch(" ".join(statement.split())) is not None
