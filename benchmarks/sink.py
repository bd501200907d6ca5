"""How fast the sink upserts into one local Cassandra node, by how rows are grouped: `python -m benchmarks.sink`.

Runs against the stack of the settings (`adstream up`), in a keyspace of its own that is dropped at the end. Each way
writes the same rows once per round, in turns, so that a busy machine slows all of them alike; what compares is the
ratio within a round. The server shares the machine's cores. Results go into docs/performance.md.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import typer
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from rich.console import Console

from adstream.cassandra import connect
from adstream.migrations import migrate
from adstream.settings import CassandraSettings, Settings
from benchmarks import page, plots
from benchmarks.pipeline import command
from streaming.sinks.cassandra import BATCH_ROWS, RowWriter, Table

KEYSPACE = "adstream_benchmark"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = Table(
    "ad_metrics_by_window",
    (
        *("ad_id", "day", "window_start", "window_end"),
        *("total_clicks", "total_views", "total_cost", "avg_cost_per_view", "last_updated"),
    ),
)

Row = tuple[object, ...]
Write = Callable[[Session, CassandraSettings, list[Row]], object]


@dataclass
class Measured:
    """Rows a second, and this process's own microseconds of CPU per row, one of each per round."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def windows(count: int, ads: int = 1_000) -> list[Row]:
    """Rows of `ad_metrics_by_window` as the ad-metrics job writes them: each ad's windows of a day."""

    def row(number: int) -> Row:
        start = MIDNIGHT + (number // ads) * timedelta(seconds=30)
        cost = Decimal(number * 1_001).scaleb(-6)
        average = Decimal("0.001001") if number % 10 else None
        ad = f"ad-{number % ads:05}"
        return (ad, start.date(), start, start + timedelta(minutes=1), number, number * 3, cost, average, MIDNIGHT)

    return [row(number) for number in range(count)]


def by_replica_set(batch_rows: int) -> Write:
    def write(_session: Session, settings: CassandraSettings, rows: list[Row]) -> None:
        writer = RowWriter(settings, batch_rows=batch_rows)
        for row in rows:
            writer.add(WINDOWS, row)
        if writer.finish() != len(rows):
            raise AssertionError("not all rows were acknowledged")

    return write


def plain_driver(session: Session, settings: CassandraSettings, rows: list[Row]) -> None:
    """What the driver's documentation shows: a prepared statement per row, a hundred at a time."""
    columns, marks = ", ".join(WINDOWS.columns), ", ".join("?" * len(WINDOWS.columns))
    insert = session.prepare(f"INSERT INTO {settings.keyspace}.{WINDOWS.name} ({columns}) VALUES ({marks})")  # noqa: S608
    execute_concurrent_with_args(session, insert, rows, concurrency=100)


WAYS: dict[str, Write] = {
    "single rows, driver's own way": plain_driver,
    "single rows": by_replica_set(1),
    **{f"batches of {rows} by replica set": by_replica_set(rows) for rows in sorted({10, 30, BATCH_ROWS})},
}


def measure(
    session: Session, settings: CassandraSettings, rows: list[Row], rounds: int
) -> Iterator[dict[str, Measured]]:
    """The results so far, after each round. The first turn of each way, which warms the server, is not counted."""
    results = {way: Measured() for way in WAYS}
    for turn in range(rounds + 1):
        for way, write in WAYS.items():
            began, cpu = time.perf_counter(), time.process_time()
            write(session, settings, rows)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            if turn:
                results[way].rates.append(len(rows) / seconds)
                results[way].cpu.append(cpu / len(rows) * 1e6)
        yield results


def summary(results: dict[str, Measured]) -> list[tuple[str, str, str, str]]:
    """One line per way: its median rate and range, its ratio to single rows with its range, and its CPU."""
    base = results["single rows"].rates
    lines = []
    for way, measured in results.items():
        ratios = [rate / other for rate, other in zip(measured.rates, base, strict=True)]
        lines.append(
            (way, page.spread(measured.rates, 0), page.spread(ratios), f"{statistics.median(measured.cpu):.0f}")
        )
    return lines


HEAD = ("rows grouped as", "rows/s: median (range)", "times single rows", "client CPU, µs per row")


def main(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows per way and round.")] = 30_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, print a table, and write it into docs/performance.md."""
    console = Console(highlight=False)
    settings = Settings()
    settings.cassandra = settings.cassandra.model_copy(update={"keyspace": KEYSPACE})
    migrate(settings)
    with connect(settings.cassandra) as session:
        try:
            for turn, measured in enumerate(measure(session, settings.cassandra, windows(rows), rounds)):
                console.print(f"round {turn} of {rounds} done" if turn else "warmed up")
                results = measured
        finally:
            session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}", timeout=60)
    lines = summary(results)
    intro = [
        f"{rows:,} rows of `ad_metrics_by_window` per round, {rounds} rounds in turns.",
        f"One node on the same machine. {page.conditions()}",
    ]
    rates = {way: measured.rates for way, measured in results.items()}
    shown = page.plot(
        "sink",
        "Rows a second into one Cassandra node, by how rows are grouped",
        lambda figure: plots.bars(figure.subplots(), rates, "rows/s: median and range"),
    )
    page.write("sink", intro, HEAD, lines, picture=shown, runs={way: asdict(each) for way, each in results.items()})


if __name__ == "__main__":
    command(main)
