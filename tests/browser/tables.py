"""The tables, read and filled by the tests without the dashboard's code."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra.cluster import Session


class Tables:
    """Reads Cassandra through the driver itself. Tests may read whole tables here."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return [row._asdict() for row in self._session.execute(statement, values)]

    def insert(self, table: str, **values: object) -> None:
        columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        self._session.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))


def naive(**back: float) -> datetime:
    """Return a time before now as Cassandra's driver returns it: in UTC, without a time zone."""
    return (datetime.now(UTC) - timedelta(**back)).replace(tzinfo=None)
