"""What the tables must hold, computed by DuckDB over the judged raw messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

import duckdb
import pyarrow as pa

from adstream.backfills import Backfill
from adstream.verify.backfilled import count_late
from adstream.verify.topic import Judged

_MICRO = Decimal("0.000001")
_CHUNK = 100_000
_SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("outcome", pa.string()),
        ("ad_id", pa.string()),
        ("timestamp", pa.int64()),
        ("clicks", pa.int64()),
        ("views", pa.int64()),
        ("cost_micros", pa.int64()),
        ("event_id", pa.string()),
    ]
)

_ONCE = """
    CREATE TABLE once AS
    SELECT * FROM messages WHERE outcome = 'counted'
    QUALIFY NOT $dedupe OR event_id IS NULL
        OR row_number() OVER (PARTITION BY event_id ORDER BY partition, "offset") = 1
"""
_WINDOWS = """
    SELECT ad_id, start, sum(clicks)::BIGINT, sum(views)::BIGINT, sum(cost_micros)::BIGINT
    FROM (
        SELECT *, (timestamp // $slide - nth) * $slide AS start
        FROM once, generate_series(0, $length // $slide - 1) AS series(nth)
        UNION ALL BY NAME
        SELECT * FROM late_in_windows
    )
    GROUP BY ad_id, start
"""
_TOTALS = """
    SELECT ad_id, sum(clicks)::BIGINT, sum(views)::BIGINT, sum(cost_micros)::BIGINT FROM once GROUP BY ad_id
"""


@dataclass(frozen=True)
class Sums:
    """One row: `cost` and `average` (per view, null without views) in the account's currency, 6 decimals."""

    clicks: int
    views: int
    cost: Decimal
    average: Decimal | None


@dataclass(frozen=True)
class Expected:
    """Windows by (ad, start in UTC), totals by ad, and how many messages had which fate.

    `backfilled` of the late ones are in windows all the same, as a backfill has counted them.
    """

    windows: dict[tuple[str, datetime], Sums]
    totals: dict[str, Sums]
    fates: dict[str, int]
    backfilled: int = 0


def expect(
    messages: Iterable[Judged],
    *,
    window: timedelta,
    slide: timedelta,
    dedupe: bool,
    backfills: Iterable[Backfill] = (),
) -> Expected:
    """Compute windows and totals; every message has one fate: counted, duplicate, late or dead."""
    millisecond = timedelta(milliseconds=1)
    with duckdb.connect(":memory:") as db:
        _load(db, messages)
        db.execute(_ONCE, {"dedupe": dedupe})
        backfilled = count_late(db, backfills, window=window, slide=slide, dedupe=dedupe)
        windows = db.execute(_WINDOWS, {"slide": slide // millisecond, "length": window // millisecond}).fetchall()
        totals = db.execute(_TOTALS).fetchall()
        fates = dict(db.execute("SELECT outcome, count(*) FROM messages GROUP BY outcome").fetchall())
        counted = db.execute("SELECT count(*) FROM once").fetchall()[0][0]
    fates["duplicate"] = fates.get("counted", 0) - counted
    fates["counted"] = counted
    return Expected(
        windows={(ad, datetime.fromtimestamp(start / 1_000, UTC)): _sums(*rest) for ad, start, *rest in windows},
        totals={ad: _sums(*rest) for ad, *rest in totals},
        fates={fate: fates.get(fate, 0) for fate in ("counted", "duplicate", "late", "dead")},
        backfilled=backfilled,
    )


def _load(db: duckdb.DuckDBPyConnection, messages: Iterable[Judged]) -> None:
    db.register("chunk", pa.Table.from_pylist([], schema=_SCHEMA))
    db.execute("CREATE TABLE messages AS SELECT * FROM chunk")
    chunk: list[Judged] = []
    for message in messages:
        chunk.append(message)
        if len(chunk) == _CHUNK:
            _append(db, chunk)
            chunk = []
    _append(db, chunk)


def _append(db: duckdb.DuckDBPyConnection, chunk: list[Judged]) -> None:
    columns = {name: [getattr(message, name) for message in chunk] for name in _SCHEMA.names}
    db.register("chunk", pa.Table.from_pydict(columns, schema=_SCHEMA))
    db.execute("INSERT INTO messages SELECT * FROM chunk")


def _sums(clicks: int, views: int, cost_micros: int) -> Sums:
    with localcontext() as context:
        context.prec = 60
        average = (Decimal(cost_micros) / views * _MICRO).quantize(_MICRO, ROUND_HALF_UP) if views else None
    return Sums(clicks, views, Decimal(cost_micros) * _MICRO, average)
