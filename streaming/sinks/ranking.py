"""The best of each window, by rank, computed from the window's stored totals.

A batch has only the changed totals, so it cannot rank: the best of a window may not be among them. The sink first
upserts the totals. Then it reads each changed window back whole. It rewrites all ranks of one window in one
single-partition batch. A product that leaves the ranks is overwritten by its successor. A replay reads and writes the
same.
"""

from datetime import datetime

from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, SimpleStatement
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import SinkError
from common.settings import Settings
from streaming.patterns.top_products import ranked
from streaming.sinks.cassandra_rows import write_at
from streaming.sinks.sink import Destination, Sink, Stamp, Write
from streaming.sinks.tables import Tables

_PAGE = 5_000


class TopProducts(Sink):
    """Writes totals into `product_totals`, and ranks into `top_products`."""

    @property
    def destinations(self) -> tuple[Destination, ...]:
        return Destination("Cassandra", "top_products"), Destination("Cassandra", "product_totals")

    def open(self, spark: SparkSession, settings: Settings, schema: StructType) -> Write:
        write_totals = Tables("product_totals").open(spark, settings, schema)

        def write(rows: DataFrame, stamp: Stamp) -> int:
            kept = rows.persist()
            try:
                written = write_totals(kept, stamp)
                windows = [row["window_start"] for row in kept.select("window_start").distinct().collect()]
            finally:
                kept.unpersist()
            if windows:
                _rank(settings, windows, stamp)
            return written

        return write


def _rank(settings: Settings, windows: list[datetime], stamp: Stamp) -> None:
    try:
        with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
            write_at(session, stamp.micros)
            for start in windows:
                _rank_window(session, start, stamp.time)
    except DRIVER_ERRORS as error:
        cause = explain(error, settings.cassandra)
        raise SinkError(f"ranks were not written: {cause.problem}", cause.remedy) from error


def _rank_window(session: Session, start: datetime, now: datetime) -> None:
    query = SimpleStatement(
        "SELECT product_id, total_sales, window_end FROM product_totals WHERE window_start = %s", fetch_size=_PAGE
    )
    end = None
    totals = []
    for row in session.execute(query, (start,)):
        end = row.window_end
        totals.append((row.product_id, row.total_sales))
    insert = session.prepare(
        "INSERT INTO top_products (window_start, rank, window_end, product_id, total_sales, last_updated)"
        " VALUES (?, ?, ?, ?, ?, ?)"
    )
    batch = BatchStatement(BatchType.LOGGED)
    for rank, product, total in ranked(totals):
        batch.add(insert, (start, rank, end, product, total, now))
    session.execute(batch)
