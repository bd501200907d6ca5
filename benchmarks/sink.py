"""Measures the sink's rate of upserts into one local Cassandra node, by encoding and grouping of rows.

`python -m benchmarks.sink` runs against the stack of the settings (`adstream up`). It has a keyspace of its own, and
drops it at the end. In each round, one way after the other writes the same rows. So a busy machine slows all ways
alike. Compare ratios within a round. The server shares the machine's cores. Results go into docs/performance.md.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import psutil
import pyarrow as pa
import typer
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import PreparedStatement
from rich.console import Console

from benchmarks import page, plots, row_by_row
from benchmarks.pipeline import command
from common.cassandra.migrations import migrate
from common.cassandra.session import connect
from common.settings import CassandraSettings, Settings
from stack import state
from streaming.sinks.cassandra_rows import BATCH_ROWS, RowWriter, Table

KEYSPACE = "adstream_benchmark"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = Table(
    "ad_metrics_by_window",
    (
        *("ad_id", "day", "window_start", "window_end"),
        *("total_clicks", "total_views", "total_cost", "avg_cost_per_view", "last_updated"),
    ),
)

SCHEMA = pa.schema(
    [
        ("ad_id", pa.string()),
        *((name, pa.timestamp("us", "UTC")) for name in ("day", "window_start", "window_end")),
        *((name, pa.int64()) for name in ("total_clicks", "total_views")),
        *((name, pa.decimal128(38, 6)) for name in ("total_cost", "avg_cost_per_view")),
        ("last_updated", pa.timestamp("us", "UTC")),
    ]
)

Row = row_by_row.Row
Write = Callable[[Session, CassandraSettings, pa.RecordBatch], object]


@dataclass
class Measured:
    """The figures of one way; each list has one value per round.

    `rates` are rows a second. `cpu` and `server_cpu` are CPU microseconds per row, of this process and of Cassandra.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)


def windows(count: int, ads: int) -> pa.RecordBatch:
    """Return rows of `ad_metrics_by_window` as ad-metrics gives them to the sink: each ad's windows of a day."""

    def row(number: int) -> Row:
        start = MIDNIGHT + (number // ads) * timedelta(seconds=30)
        cost = Decimal(number * 1_001).scaleb(-6)
        average = Decimal("0.001001") if number % 10 else None
        ad = f"ad-{number % ads:06}"
        return (ad, start, start, start + timedelta(minutes=1), number, number * 3, cost, average, MIDNIGHT)

    columns = zip(*(row(number) for number in range(count)), strict=True)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def by_column(batch_rows: int) -> Write:
    """Return the sink's own way to write."""

    def write(_session: Session, settings: CassandraSettings, rows: pa.RecordBatch) -> None:
        writer = RowWriter(settings, batch_rows=batch_rows)
        writer.add_columns(WINDOWS, rows.columns)
        if writer.finish() != rows.num_rows:
            raise AssertionError("not all rows were acknowledged")

    return write


def by_value(session: Session, settings: CassandraSettings, rows: pa.RecordBatch) -> None:
    row_by_row.write(session, _prepared(session, settings), _rows(rows), BATCH_ROWS)


def plain_driver(session: Session, settings: CassandraSettings, rows: pa.RecordBatch) -> None:
    """Write as the driver's documentation does: a prepared statement per row, a hundred at a time."""
    execute_concurrent_with_args(session, _prepared(session, settings), _rows(rows), concurrency=100)


def _rows(rows: pa.RecordBatch) -> list[Row]:
    """Return the rows as Python values. This conversion is part of the measured work."""
    columns: list[list[object]] = [column.to_pylist() for column in rows.columns]
    columns[1] = [day.date() for day in rows.column("day").to_pylist()]
    return list(zip(*columns, strict=True))


def _prepared(session: Session, settings: CassandraSettings) -> PreparedStatement:
    columns, marks = ", ".join(WINDOWS.columns), ", ".join("?" * len(WINDOWS.columns))
    return session.prepare(f"INSERT INTO {settings.keyspace}.{WINDOWS.name} ({columns}) VALUES ({marks})")  # noqa: S608


SINGLE = "single rows, the driver's own way"
WAYS: dict[str, Write] = {
    SINGLE: plain_driver,
    f"batches of {BATCH_ROWS}, value by value": by_value,
    **{f"batches of {rows}, by column": by_column(rows) for rows in sorted({1, 10, 30, BATCH_ROWS})},
}


def measure(
    session: Session, settings: CassandraSettings, rows: pa.RecordBatch, rounds: int, server: psutil.Process | None
) -> Iterator[dict[str, Measured]]:
    """Yield the results so far after each round.

    The first turn of each way warms the server and does not count.
    """
    results = {way: Measured() for way in WAYS}
    for turn in range(rounds + 1):
        for way, write in WAYS.items():
            began, cpu, theirs = time.perf_counter(), time.process_time(), _cpu(server)
            write(session, settings, rows)
            seconds, cpu, theirs = time.perf_counter() - began, time.process_time() - cpu, _cpu(server) - theirs
            if turn:
                results[way].rates.append(rows.num_rows / seconds)
                results[way].cpu.append(cpu / rows.num_rows * 1e6)
                results[way].server_cpu.append(theirs / rows.num_rows * 1e6)
        yield results


def _cpu(server: psutil.Process | None) -> float:
    if server is None:
        return 0.0
    times = server.cpu_times()
    return float(times.user + times.system)


def _server(settings: Settings) -> psutil.Process | None:
    """Return Cassandra's process if the local stack runs it."""
    entry = state.read(settings.data_dir.absolute()).services.get("cassandra")
    return entry.running.process() if entry else None


def summary(results: dict[str, Measured]) -> list[tuple[str, ...]]:
    """Return one line per way: its rate, its ratio to single rows (both as median and range), and the CPU."""
    base = results[SINGLE].rates
    lines = []
    for way, measured in results.items():
        ratios = [rate / other for rate, other in zip(measured.rates, base, strict=True)]
        rate, ratio = page.spread(measured.rates, 0), page.spread(ratios)
        lines.append((way, rate, ratio, page.spread(measured.cpu, 0), page.spread(measured.server_cpu, 0)))
    return lines


HEAD = (
    *("rows encoded and grouped as", "rows/s: median (range)", "times single rows"),
    *("client, µs of CPU a row", "Cassandra, µs of CPU a row"),
)


def main(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows per way and round.")] = 30_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    ads: Annotated[int, typer.Option(min=1, help="Different ads.")] = 200_000,
) -> None:
    """Measure, print a table, and write it into docs/performance.md."""
    console = Console(highlight=False)
    settings = Settings()
    settings.cassandra = settings.cassandra.model_copy(update={"keyspace": KEYSPACE})
    migrate(settings)
    with connect(settings.cassandra) as session:
        try:
            made = windows(rows, ads)
            for turn, measured in enumerate(measure(session, settings.cassandra, made, rounds, _server(settings))):
                console.print(f"round {turn} of {rounds} done" if turn else "warmed up")
                results = measured
        finally:
            session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}", timeout=60)
    lines = summary(results)
    intro = [
        f"{rows:,} rows of `ad_metrics_by_window` of {min(rows, ads):,} ads per round, {rounds} rounds in turns.",
        f"One node on the same machine. {page.conditions()}",
    ]
    rates = {way: measured.rates for way, measured in results.items()}
    shown = page.plot(
        "sink",
        "Rows a second into one Cassandra node, by how rows are encoded",
        lambda figure: plots.bars(figure.subplots(), rates, "rows/s: median and range"),
    )
    page.write("sink", intro, HEAD, lines, picture=shown, runs={way: asdict(each) for way, each in results.items()})


if __name__ == "__main__":
    command(main)
