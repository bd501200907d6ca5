"""`adstream show JOB`: the rows of a job, as a table to read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from adstream.commands import completion
from adstream.documents import AsJson, print_document, tables_document
from common.errors import ConfigError
from common.settings import Settings
from common.text.nearest import did_you_mean
from common.text.progress_line import Working
from common.text.terminal import Terminal, plain, print_whole

if TYPE_CHECKING:
    from adstream.ad_metrics_tables import Sums

_ADS = ("ad-metrics", "ads")


def show(
    job: Annotated[
        str,
        typer.Argument(help="The job, as `adstream jobs` lists it; ads is ad-metrics.", autocompletion=completion.jobs),
    ],
    key: Annotated[
        str | None, typer.Option("--key", "--ad", help="One ad, user, sensor, ...: only its rows, newest first.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many rows at most.")] = 10,
    late: Annotated[
        bool, typer.Option("--late", help="Late events by window, and the lateness that would have kept them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the rows of a job, newest first; for ad-metrics the ads with the highest cost. Times are UTC.

    Example: `adstream show ad-metrics --ad ad-00001`

    Example: `adstream show user-sessions --key user-001`

    Example: `adstream show ad-metrics --late`

    Example: `adstream show logins --json | jq .tables.logins`
    """
    asked = _Asked(Settings(), key, limit, as_json)
    if late:
        _show_late(asked, "ad-metrics" if job in _ADS else job)
        return
    if job in _ADS:
        _show_ads(asked)
        return
    from streaming.iceberg.daily_jobs import BATCH_JOBS
    from streaming.jobs import JOBS
    from streaming.sinks.sink import destinations_of

    if job in BATCH_JOBS:
        _show_lakehouse(asked, BATCH_JOBS[job].result)
        return
    chosen = JOBS.get(job)
    if chosen is None:
        known = [*JOBS, *BATCH_JOBS]
        raise ConfigError(f"there is no job {job} to show", did_you_mean(job, known, "`adstream jobs` lists them"))
    tables = [each for each in destinations_of(chosen.sinks) if each.store != "Kafka"]
    if not tables:
        raise ConfigError(f"{job} writes no table", f"watch it with `adstream stream {job}`")
    if tables[0].store == "Iceberg":
        _show_lakehouse(asked, tables[0].name)
    else:
        _show_table(asked, tables[0].name)


@dataclass(frozen=True)
class _Asked:
    """The user's request. With `as_json` standard output has only the document."""

    settings: Settings
    key: str | None
    limit: int
    as_json: bool

    @property
    def out(self) -> Terminal:
        return Terminal(soft_wrap=False, stderr=self.as_json)


def _show_late(asked: _Asked, name: str) -> None:
    from adstream.commands import late_page
    from streaming.jobs import find
    from streaming.sinks.sink import tables_of

    job = find(name)
    if asked.key is not None:
        raise ConfigError("late events are not kept by key", "leave --key out")
    if not tables_of(job.sinks):
        raise ConfigError(f"{name} writes no table in Cassandra", f"its late events are in `adstream stream {name}`")
    if asked.as_json:
        print_document(late_page.document(asked.settings, name, job.late_option, asked.limit))
    else:
        late_page.show(asked.settings, name, job.late_option, asked.limit, asked.out)


def _show_table(asked: _Asked, name: str) -> None:
    from adstream.result_tables import MOST_ROWS, read
    from streaming.sinks.console import table

    found, out = read(asked.settings.cassandra, name, asked.key, asked.limit), asked.out
    if asked.as_json:
        rows = [{column: row[column] for column in found.columns} for row in found.rows]
        print_document(tables_document({name: rows}, complete=found.complete))
        return
    if not found.rows:
        out.print(f"{name} holds nothing{'' if asked.key is None else f' of {asked.key}'} yet")
        return
    print_whole(out, table(name, found.columns, found.rows))
    if not found.complete:
        out.print(f"only the first {MOST_ROWS:,} rows were read", style="yellow")


def _show_lakehouse(asked: _Asked, name: str) -> None:
    from streaming.iceberg.catalog import newest_rows
    from streaming.sinks.console import table
    from streaming.spark.session import spark_session

    settings, out = asked.settings, asked.out
    reading = Working("starting Spark, which reads Iceberg")
    with reading, spark_session(settings, "show", lakehouse=True) as spark:
        columns, rows = newest_rows(spark, settings.lakehouse, name, asked.limit)
    if asked.as_json:
        print_document(tables_document({name: rows}, complete=True))
        return
    if rows:
        print_whole(out, table(name, columns, rows))
    else:
        out.print(f"{name} holds nothing yet")


def _show_ads(asked: _Asked) -> None:
    from adstream import ad_metrics_tables

    cassandra, ad, out = asked.settings.cassandra, asked.key, asked.out
    if ad is None:
        top, complete = ad_metrics_tables.top_ads(cassandra, asked.limit)
        if asked.as_json:
            print_document(tables_document({"ad_metrics": map(_cells, top)}, complete=complete))
            return
        if not top:
            out.print("ad_metrics holds nothing yet")
            return
        print_whole(out, _ads("ads by cost", top))
        if not complete:
            out.print(f"only the first {ad_metrics_tables.MOST_ADS} ads were read", style="yellow")
        return
    total, windows = ad_metrics_tables.one_ad(cassandra, ad, asked.limit)
    if total is None:
        raise ConfigError(f"nothing is stored for ad {ad}", "`adstream show ad-metrics` lists ads that there are")
    if asked.as_json:
        both = {"ad_metrics": [_cells(total)], "ad_metrics_by_window": map(_cells, windows)}
        print_document(tables_document(both, complete=True))
        return
    print_whole(out, _ads(f"{ad} in all", [total]))
    print_whole(out, _ads(f"{ad} by window, newest first", windows))


def _cells(sums: "Sums") -> dict[str, Any]:
    """Return a row under the names of its columns."""
    times = {"window_start": sums.start, "window_end": sums.end} if sums.start else {}
    return {
        "ad_id": sums.ad_id,
        **times,
        "total_clicks": sums.clicks,
        "total_views": sums.views,
        "total_cost": sums.cost,
        "avg_cost_per_view": sums.cost_per_view,
        "last_updated": sums.updated,
    }


def _ads(title: str, rows: "list[Sums]") -> Table:
    windows = any(row.start for row in rows)
    table = Table(title=plain(title, "table.title"), title_justify="left")
    for name in ("from", "to") if windows else ("ad",):
        table.add_column(name, no_wrap=windows)
    for name in ("clicks", "views", "cost", "cost per view"):
        table.add_column(name, justify="right", no_wrap=True)
    if not windows:
        table.add_column("updated", no_wrap=True)
    for row in rows:
        first: list[Any] = (
            [f"{row.start:%Y-%m-%d %H:%M:%S}", f"{row.end:%H:%M:%S}"] if row.start else [plain(row.ad_id)]
        )
        average = "" if row.cost_per_view is None else str(row.cost_per_view)
        last = [] if windows else [f"{row.updated:%Y-%m-%d %H:%M:%S}"]
        table.add_row(*first, f"{row.clicks:,}", f"{row.views:,}", f"{row.cost:,}", average, *last)
    return table
