"""The expected rows of the tables: DuckDB over the judged messages.

Each message has a *boundary*. It is 0 up to the last batch committed when verify began to read the tables, 1 for the
batch after it, 2 for the next, and so on. So each row has a value at each boundary (adstream.verify.tables says why).
`BEYOND` marks messages that do not count: verify only compares them with the producer's records.

`_FATES` decides a message's fate: the judge's result, unless a dead letter says otherwise. A later place of an
`event_id` is a duplicate. `gaps` has the offsets without a message; only their number matters.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from adstream.verify import backfilled
from adstream.verify.judge import Judged
from adstream.verify.topic import GAPS, GAPS_FOLDER, table
from common.bookkeeping.backfills import Backfill
from common.reasons import CRASHES_THE_JOB, UNKNOWN_SCHEMA_ID

BEYOND = 511
FATES = ("counted", "duplicate", "late", "dead")
# An offset without a message still takes its own place.
NOT_A_MESSAGE = "not_a_message"
TOTALS, WINDOWS = "ad_metrics", "ad_metrics_by_window"
# The `start` of total rows, which have no window.
NO_WINDOW = -1
_MEMORY = "1500MB"

_TABLES = f"""
    CREATE TABLE letters (
        partition INTEGER, "offset" BIGINT, arrival BIGINT, reason VARCHAR, current BOOLEAN, published BIGINT
    );
    CREATE TABLE known_ids (event_id VARCHAR, timestamp BIGINT);
    CREATE TABLE known_sums (
        name VARCHAR, ad_id VARCHAR, start BIGINT, clicks HUGEINT, views HUGEINT, cost_micros HUGEINT
    );
    CREATE TABLE known_fates (partition INTEGER, fate VARCHAR, messages BIGINT);
    CREATE TABLE found (
        name VARCHAR, ad_id VARCHAR, start BIGINT, clicks BIGINT, views BIGINT, cost VARCHAR, average VARCHAR
    );
    CREATE VIEW letter AS
        SELECT partition, "offset", arrival, bool_or(current) AS current,
            max_by(reason, published) FILTER (current) AS reason,
        FROM letters GROUP BY ALL;
    CREATE VIEW judged AS
        SELECT raw.* REPLACE (
                CASE WHEN getvariable('by_time') THEN event_id || '@' || timestamp ELSE event_id END AS event_id,
                CASE WHEN letter.reason IN ('{UNKNOWN_SCHEMA_ID}', '{CRASHES_THE_JOB}') THEN 'dead'
                ELSE outcome END AS outcome
            ),
            letter.arrival IS NOT NULL AS has_letter,
            letter.reason AS letter,
            (boundary::BIGINT << 54) + (partition::BIGINT << 40) + "offset" AS place
        FROM raw LEFT JOIN letter USING (partition, "offset", arrival);
"""  # noqa: S608 - text of ours
# Most ids come once. Only repeated ids are kept.
_REPEATS = """
    CREATE OR REPLACE TABLE repeats AS
    WITH ids AS (
        SELECT event_id, place FROM judged WHERE outcome = 'counted' AND event_id IS NOT NULL AND boundary < $beyond
    ), firsts AS (
        SELECT event_id, min(place) AS first FROM ids GROUP BY event_id HAVING count(*) > 1
    )
    SELECT place FROM ids JOIN firsts USING (event_id) WHERE $dedupe AND place > first
    UNION
    SELECT place FROM ids SEMI JOIN known_ids USING (event_id) WHERE $dedupe
"""
_FATES = """
    CREATE OR REPLACE TABLE fates AS
    SELECT judged.* EXCLUDE (outcome, checksum, event_id, place),
        CASE WHEN repeats.place IS NOT NULL THEN 'duplicate' ELSE outcome END AS fate
    FROM judged LEFT JOIN repeats USING (place)
    WHERE boundary < $beyond
"""
# The number of messages by partition and fate, up to the ledger's boundary.
_FATE_COUNTS = f"""
    CREATE OR REPLACE VIEW fate_counts AS
    SELECT partition, fate, sum(messages)::BIGINT AS messages FROM (
        SELECT partition, fate, count(*) AS messages FROM fates WHERE boundary = 0 GROUP BY ALL
        UNION ALL SELECT partition, fate, messages FROM known_fates
        UNION ALL SELECT partition, '{NOT_A_MESSAGE}', "last" - "first" + 1 FROM gaps WHERE boundary = 0
    ) GROUP BY ALL
"""  # noqa: S608 - text of ours
# First group by the slide of the event, then put each slide into all windows that contain it.
_SUMS = """
    CREATE OR REPLACE TABLE sums AS
    WITH counted AS (
        SELECT ad_id, timestamp // $slide AS nth, boundary,
            sum(clicks) AS clicks, sum(views) AS views, sum(cost_micros) AS cost_micros
        FROM fates WHERE fate = 'counted' GROUP BY ALL
    ), rows AS (
        SELECT $windows AS name, ad_id, (nth - back) * $slide AS start, boundary, clicks, views, cost_micros
        FROM counted, generate_series(0, $length // $slide - 1) AS series(back)
        UNION ALL
        SELECT $windows, ad_id, start, boundary, clicks, views, cost_micros FROM late_in_windows
        UNION ALL
        SELECT $totals, ad_id, $no_window, boundary, clicks, views, cost_micros FROM counted
        UNION ALL
        SELECT name, ad_id, start, 0, clicks, views, cost_micros FROM known_sums
    )
    SELECT name, ad_id, start, boundary,
        sum(clicks) AS clicks, sum(views) AS views, sum(cost_micros) AS cost_micros
    FROM rows GROUP BY ALL
"""
# A row's value at each boundary at which it changed. The average has 6 decimals, rounded half-up.
_VERSIONS = """
    CREATE OR REPLACE TABLE versions AS
    SELECT name, ad_id, start, boundary, clicks, views, cost_micros::VARCHAR AS cost,
        CASE WHEN views > 0 THEN ((2 * cost_micros + views) // (2 * views))::VARCHAR END AS average
    FROM (
        SELECT name, ad_id, start, boundary,
            sum(clicks) OVER so_far AS clicks,
            sum(views) OVER so_far AS views,
            sum(cost_micros) OVER so_far AS cost_micros
        FROM sums WINDOW so_far AS (PARTITION BY name, ad_id, start ORDER BY boundary ROWS UNBOUNDED PRECEDING)
    )
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
    """Windows by (ad, start in UTC), totals by ad, and the number of messages by fate.

    `backfilled` late messages are in windows all the same, because a backfill has counted them.
    """

    windows: dict[tuple[str, datetime], Sums]
    totals: dict[str, Sums]
    fates: dict[str, int]
    backfilled: int = 0


class Oracle:
    """A database in `folder`, beside the Parquet files of judged messages (adstream.verify.topic)."""

    def __init__(
        self, folder: Path, *, window: timedelta, slide: timedelta, dedupe: bool, by_time: bool = False
    ) -> None:
        """Open the database.

        With `by_time` an event repeats another one with its id only at the same event time, as in real-time mode.
        """
        millisecond = timedelta(milliseconds=1)
        self._length, self._slide, self._dedupe = window // millisecond, slide // millisecond, dedupe
        pq.write_table(table([]), folder / "none.parquet")
        (folder / GAPS_FOLDER).mkdir()
        pq.write_table(table([], GAPS), folder / GAPS_FOLDER / "none.parquet")
        self.db = duckdb.connect(str(folder / "oracle.duckdb"))
        self.db.execute(f"SET memory_limit = '{_MEMORY}'; SET preserve_insertion_order = false")
        quoted = str(folder).replace("'", "''")
        self.db.execute(f"SET temp_directory = '{quoted}'; SET enable_progress_bar = false")
        self.db.execute(f"SET VARIABLE by_time = {by_time}")
        for name, files in (("raw", quoted), ("gaps", f"{quoted}/{GAPS_FOLDER}")):
            self.db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{files}/*.parquet')")  # noqa: S608
        self.db.execute(_TABLES + backfilled.TABLES)

    def close(self) -> None:
        self.db.close()

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows to one of the tables, by position."""
        self.db.register("appended", rows)
        self.db.execute(f"INSERT INTO {name} SELECT * FROM appended")  # noqa: S608 - a name of ours
        self.db.unregister("appended")

    def compute(self) -> None:
        """Decide every message's fate, and compute the rows at every boundary."""
        self.db.execute(_REPEATS, {"dedupe": self._dedupe, "beyond": BEYOND})
        self.db.execute(_FATES, {"beyond": BEYOND})
        self.db.execute(_FATE_COUNTS)
        shape = {"slide": self._slide, "length": self._length}
        backfilled.compute(self.db, **shape, dedupe=self._dedupe, beyond=BEYOND)
        self.db.execute(_SUMS, {**shape, "windows": WINDOWS, "totals": TOTALS, "no_window": NO_WINDOW})
        self.db.execute(_VERSIONS)

    def backfilled(self) -> int:
        """Return the number of late messages in windows because of a backfill."""
        return int(self.rows("SELECT count(*) FROM late_once WHERE boundary = 0")[0][0])

    def rows(self, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self.db.execute(query, parameters or {}).fetchall()


def expect(
    messages: Iterable[Judged],
    *,
    window: timedelta,
    slide: timedelta,
    dedupe: bool,
    by_time: bool = False,
    backfills: Iterable[Backfill] = (),
) -> Expected:
    """Compute windows and totals of a few messages; each has one fate: counted, duplicate, late or dead."""
    with tempfile.TemporaryDirectory(prefix="adstream-verify-") as folder:
        pq.write_table(table([(*each, 0, 0, 0) for each in messages]), Path(folder) / "messages.parquet")
        with closing(Oracle(Path(folder), window=window, slide=slide, dedupe=dedupe, by_time=by_time)) as oracle:
            backfilled.load(oracle.db, backfills)
            oracle.compute()
            fates = dict(oracle.rows("SELECT fate, count(*) FROM fates GROUP BY fate"))
            return Expected(
                windows={
                    (ad, datetime.fromtimestamp(start / 1_000, UTC)): sums for ad, start, sums in _all(oracle, WINDOWS)
                },
                totals={ad: sums for ad, _, sums in _all(oracle, TOTALS)},
                fates={fate: fates.get(fate, 0) for fate in FATES},
                backfilled=oracle.backfilled(),
            )


def _all(oracle: Oracle, name: str) -> Iterator[tuple[str, int, Sums]]:
    query = "SELECT ad_id, start, clicks, views, cost, average FROM versions WHERE name = $name"
    for ad, start, clicks, views, cost, average in oracle.rows(query, {"name": name}):
        yield ad, start, Sums(int(clicks), int(views), money(cost), money(average) if average is not None else None)


def money(micros: str) -> Decimal:
    """Convert millionths, as text, to the account's currency."""
    sign, digits, exponent = Decimal(micros).as_tuple()
    return Decimal((sign, digits, int(exponent) - 6))
