"""Baselines: verified results, kept so that verify need not compute them again from deleted messages.

A baseline is a DuckDB file beside the checkpoint, in `<checkpoint>.baselines/`. It holds its offsets, and the number of
messages before them by fate. It also holds the totals, the windows within the TTL, and the event ids that may still
come again.

An id may come again as long as its event would not be late. A message that arrives at T or later, after the baseline,
counts only if its event time is at least T - lateness. So the baseline leaves out older ids. It keeps one more day of
ids because the brokers' clocks differ. T is the clock when the baseline was made, or the last arrival of a partition
with unread messages.
"""

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from adstream.verify.offsets import JobCheckpoint, Offsets
from adstream.verify.oracle import TOTALS, WINDOWS, Oracle
from common.errors import BadInput

KEPT = 3
CLOCKS = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
_PARTS = {
    "sums": """
        SELECT name, ad_id, start, clicks, views, cost_micros FROM sums
        WHERE boundary = 0 AND (name = $totals OR (name = $windows AND start > $oldest))
    """,
    "ids": """
        SELECT event_id, timestamp FROM judged LEFT JOIN repeats USING (place)
        WHERE boundary = 0 AND outcome = 'counted' AND event_id IS NOT NULL AND repeats.place IS NULL
            AND timestamp >= $since
        UNION ALL SELECT event_id, timestamp FROM known_ids WHERE timestamp >= $since
    """,
    "fates": "FROM fate_counts",
}


@dataclass(frozen=True)
class Baseline:
    """One kept baseline. It is valid for every message before `ends`."""

    path: Path
    made: datetime
    ends: Offsets

    def load(self, oracle: Oracle) -> None:
        """Load the baseline into the oracle, which goes on from there."""
        oracle.db.execute(f"ATTACH '{_quoted(self.path)}' AS kept (READ_ONLY)")
        oracle.db.execute("INSERT INTO known_sums SELECT * FROM kept.sums")
        oracle.db.execute("INSERT INTO known_ids SELECT * FROM kept.ids")
        oracle.db.execute("INSERT INTO known_fates SELECT * FROM kept.fates")
        oracle.db.execute("DETACH kept")


def newest(checkpoint: JobCheckpoint, begins: Mapping[int, int], ends: Mapping[int, int]) -> Baseline | None:
    """Return this job's newest baseline that reaches `begins`, but not beyond `ends`, in every partition."""
    for path in sorted(_folder(checkpoint).glob("*.duckdb"), reverse=True):
        found = _opened(path, checkpoint)
        if found and all(begins.get(p, 0) <= found.ends.get(p, checkpoint.start.get(p, 0)) <= ends[p] for p in ends):
            return found
    return None


def keep(
    checkpoint: JobCheckpoint, oracle: Oracle, *, ends: Offsets, now: datetime, oldest: datetime, arrivals: datetime
) -> Baseline:
    """Write a baseline of the oracle's results up to boundary 0, with the offsets `ends`. Keeps only the newest three.

    The baseline contains windows that begin after `oldest`, and ids that may come again after `arrivals`.
    """
    folder = _folder(checkpoint)
    path = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}.duckdb"
    unfinished = path.with_suffix(".unfinished")
    meta = {"made": now.isoformat(), "ends": ends, **_identity(checkpoint)}
    scope = {
        "totals": TOTALS,
        "windows": WINDOWS,
        "oldest": _millis(oldest),
        "since": _millis(arrivals - checkpoint.lateness - CLOCKS),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        oracle.db.execute(f"ATTACH '{_quoted(unfinished)}' AS kept")
        for part, query in _PARTS.items():
            used = {name: value for name, value in scope.items() if f"${name}" in query}
            oracle.db.execute(f"CREATE TABLE kept.{part} AS {query}", used)
        oracle.db.execute("CREATE TABLE kept.meta AS SELECT $meta AS meta", {"meta": json.dumps(meta)})
        oracle.db.execute("DETACH kept")
        unfinished.replace(path)
        for old in sorted(folder.glob("*.duckdb"))[:-KEPT]:
            old.unlink()
    except (OSError, duckdb.IOException) as error:
        raise BadInput(f"no baseline can be kept in {folder}: {error}", "make room, or let it be written") from None
    return Baseline(path, now, ends)


def _opened(path: Path, checkpoint: JobCheckpoint) -> Baseline | None:
    """Return the baseline in the file, or None if it belongs to another job or cannot be read."""
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as db:
            meta: dict[str, Any] = json.loads(db.execute("SELECT meta FROM meta").fetchall()[0][0])
    except (duckdb.Error, ValueError, IndexError):
        return None
    if any(meta.get(name) != value for name, value in _identity(checkpoint).items()):
        return None
    ends = {int(partition): int(offset) for partition, offset in meta["ends"].items()}
    return Baseline(path, datetime.fromisoformat(meta["made"]), ends)


def _identity(checkpoint: JobCheckpoint) -> dict[str, Any]:
    """Return the run, topic and shape of a checkpoint.

    A baseline with another identity says nothing about this checkpoint.
    """
    names = ("topic_id", "window_seconds", "slide_seconds", "lateness_seconds", "dedupe")
    start = {str(partition): offset for partition, offset in sorted(checkpoint.start.items())}
    return {"query": checkpoint.query, "start": start, **{name: checkpoint.options[name] for name in names}}


def _folder(checkpoint: JobCheckpoint) -> Path:
    path = checkpoint.path.absolute()
    return path.with_name(f"{path.name}.baselines")


def _millis(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


def _quoted(path: Path) -> str:
    return os.fspath(path).replace("'", "''")
