"""Which tables have rows that expire. `adstream migrate` sets their time to live (common.cassandra.migrations)."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from common.cassandra.primary_keys import primary_keys

# These rows count however old they are: which checkpoint counts, what was corrected, a rack's last change.
KEPT = frozenset({"job_checkpoints", "backfills", "rack_alerts"})


def expires(table: str) -> bool:
    """Return whether the rows of a table expire: one with clustering columns grows with time.

    This needs no service: the tables are the ones that the migrations make.
    """
    key = primary_keys().get(table)
    return key is not None and bool(key.clustering) and table not in KEPT


def times_to_live(tables: Iterable[Any]) -> dict[str, timedelta]:
    """Return name -> the time to live of new rows, from the driver's metadata of the tables.

    Leaves out tables without clustering columns, which `adstream migrate` does not change, and tables whose rows never
    expire.
    """
    growing = ((each.name, each.options["default_time_to_live"]) for each in tables if each.clustering_key)
    return {name: timedelta(seconds=seconds) for name, seconds in growing if seconds}
