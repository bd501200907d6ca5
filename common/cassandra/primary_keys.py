"""The primary keys of our tables, as the migrations in `cql/` make them. This needs no service."""

import re
from dataclasses import dataclass
from itertools import chain

from common.cassandra.cql_files import committed, of_packages

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<name>\w+) \((?P<columns>.*)", re.IGNORECASE)
_CLAUSE = re.compile(r"PRIMARY KEY ?\( ?(\((?P<several>[^)]*)\)|(?P<one>\w+))(?P<clustering>[^)]*)\)", re.IGNORECASE)
_BESIDE_ITS_COLUMN = re.compile(r"(?P<one>\w+) \w+ PRIMARY KEY", re.IGNORECASE)
_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class PrimaryKey:
    """The columns of the partition key, and the clustering columns; `str` is as CQL writes it."""

    partition: tuple[str, ...]
    clustering: tuple[str, ...] = ()

    def __str__(self) -> str:
        partition = ", ".join(self.partition)
        return f"({', '.join((f'({partition})' if self.clustering else partition, *self.clustering))})"


def primary_keys() -> dict[str, PrimaryKey]:
    """Return table -> its primary key, which no later migration can change."""
    migrations = chain(committed(), *of_packages().values())
    statements = (" ".join(each.split()) for migration in migrations for each in migration.statements)
    made = (_TABLE.fullmatch(statement) for statement in statements)
    return {table["name"]: _key(table["columns"]) for table in made if table}


def _key(columns: str) -> PrimaryKey:
    found = _CLAUSE.search(columns)
    if found is None:
        beside = _BESIDE_ITS_COLUMN.search(columns)
        return PrimaryKey((beside["one"],) if beside else ())
    return PrimaryKey(tuple(_NAME.findall(found["several"] or found["one"])), tuple(_NAME.findall(found["clustering"])))
