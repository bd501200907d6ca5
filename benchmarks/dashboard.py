"""Compares the dashboard's page of ads on small tables and on a million rows: `python -m benchmarks.dashboard`.

Runs against the stack of the settings (`adstream up`), with a topic and a keyspace of its own. Streamlit runs the page
in this process, without a browser, with one ad chosen. The page asks Kafka for the active ads, reads their newest
windows from Cassandra, and draws. These windows are the same in both states. The additional rows are windows of earlier
days, and other ads.
"""

import math
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from rich.console import Console
from streamlit.testing.v1 import AppTest

from adstream import dashboard
from adstream.dashboard.tails import active_keys
from benchmarks import page, plots
from benchmarks.pipeline import command, own_pipeline, produce
from benchmarks.sink import WINDOWS
from common.settings import Settings
from producer.traffic import Mix
from streaming.sinks.cassandra_rows import RowWriter, Table

TOTALS = Table(
    "ad_metrics", ("ad_id", "total_clicks", "total_views", "total_cost", "avg_cost_per_view", "last_updated")
)
APP = Path(dashboard.__file__).parent / "app.py"
HEAD = ("rows of totals and of windows", "the page, ms: median (range)", "times few rows")
EVENTS = 2_000
RECENT, A_DAY = 240, 2_880  # windows of an ad, one every 30 seconds
COST, AVERAGE = Decimal("1.000001"), Decimal("0.100000")


def rows_of(ad: str, windows: range, now: datetime) -> Iterator[tuple[object, ...]]:
    """Return rows of `ad_metrics_by_window`, `windows` counted back from now."""
    for back in windows:
        start = now - timedelta(seconds=30 * back)
        yield ad, start.date(), start, start + timedelta(minutes=1), back, back * 10, COST, AVERAGE, now


def fill(settings: Settings, ads: list[str], windows: range, now: datetime) -> None:
    """Write the totals and the given windows of all these ads."""
    writer = RowWriter(settings.cassandra)
    for ad in ads:
        writer.add(TOTALS, (ad, 10, 100, COST, AVERAGE, now))
        for row in rows_of(ad, windows, now):
            writer.add(WINDOWS, row)
    writer.finish()


def runs_of(ad: str, count: int) -> list[float]:
    """Return the milliseconds of each run of the page.

    The first run opens the session and does not count.
    """
    opened, found = AppTest.from_file(str(APP), default_timeout=60), []
    opened.query_params["ad"] = ad
    for turn in range(count + 1):
        began = time.perf_counter()
        opened.run()
        if turn:
            found.append((time.perf_counter() - began) * 1_000)
        if opened.exception or not opened.dataframe:
            raise AssertionError(f"the page shows no ads: {[each.value for each in (*opened.exception, *opened.info)]}")
    return found


def main(
    rows: Annotated[int, typer.Option(min=100, help="Rows of each table in the second state.")] = 1_000_000,
    active: Annotated[int, typer.Option(min=1, max=200, help="Ads that send events now.")] = 100,
    runs: Annotated[int, typer.Option(min=1, help="Runs of the page in each state.")] = 40,
) -> None:
    """Measure, and write the results."""
    settings, console = own_pipeline(), Console(highlight=False)
    produce(settings, settings.topic.ads, EVENTS, Mix(keys=active))
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ads = active_keys(settings, settings.topic.ads)
    fill(settings, ads, range(RECENT), now)
    results = {f"{len(ads):,} and {len(ads) * RECENT:,}": runs_of(ads[0], runs)}
    console.print("measured with few rows; now many are written")
    fill(settings, ads, range(RECENT, A_DAY), now)
    others = [f"other-{number:06}" for number in range(rows - len(ads))]
    days = math.ceil(max(0, rows - len(ads) * A_DAY) / A_DAY)
    fill(settings, others[:days], range(A_DAY), now)
    fill(settings, others[days:], range(0), now)
    results[f"{rows:,} and {(len(ads) + days) * A_DAY:,}"] = runs_of(ads[0], runs)
    report(f"{len(ads)} active ads, {runs} runs in each state. {page.conditions()}", results)


def report(intro: str, results: dict[str, list[float]]) -> None:
    few = statistics.median(next(iter(results.values())))
    lines = [(name, page.spread(times, 0), f"{statistics.median(times) / few:.2f}") for name, times in results.items()]

    def draw(figure: Figure) -> None:
        plots.bars(figure.subplots(), results, "ms a run of the page: median and range")

    shown = page.plot("dashboard", "Milliseconds a run of the page, with few rows and with a million", draw, height=1.8)
    page.write("dashboard", [intro], HEAD, lines, picture=shown, runs=results)


if __name__ == "__main__":
    command(main)
