"""`adstream sql JOB "select ..."`: compute a job over its input once, in memory, and query the result."""

from pathlib import Path
from typing import Annotated

import typer

from adstream.commands import completion
from adstream.commands.inputs import Inputs
from adstream.documents import print_row
from common.errors import BadInput
from common.settings import Settings
from common.system.stopping import stop_requested
from common.text.terminal import Terminal, print_whole

_MOST_ROWS = 1_000


def sql(
    job: Annotated[
        str, typer.Argument(help="The job, as `adstream jobs` lists it.", autocompletion=completion.streams)
    ],
    query: Annotated[str, typer.Argument(help="Spark SQL over a table named like the job, with _ for -.")],
    sample: Annotated[
        bool, typer.Option("--sample", help="Read the newest topic of `adstream produce JOB --sample`.")
    ] = False,
    topic: Annotated[
        str | None, typer.Option(help="Read this topic instead of the job's own.", autocompletion=completion.topics)
    ] = None,
    files: Annotated[Path | None, typer.Option(help="Read the JSON files of this folder instead of Kafka.")] = None,
    start: Annotated[str, typer.Option("--from", help="earliest, or a time like 2026-01-31T10:00:00Z.")] = "earliest",
    as_json: Annotated[bool, typer.Option("--json", help="One strict JSON object per row.")] = False,
) -> None:
    """Take all there is of a job's input, compute its rows in memory, and query them. Nothing is written or kept.

    Example: `adstream sql user-clicks "select user_id, sum(clicks) from user_clicks group by user_id"`

    Example: `adstream sql logins "select * from logins" --sample --json | jq .logins`
    """
    from streaming.iceberg.catalog import in_utc
    from streaming.jobs import find
    from streaming.launch import computed
    from streaming.monitoring.listener import Listener
    from streaming.query.options import Options
    from streaming.recovery.causes import told_as
    from streaming.sinks.console import table

    settings = Settings()
    chosen = find(job)
    source = Inputs(sample, topic, files, start=start).source(settings, chosen)
    out, said = Terminal(), Terminal(stderr=True)
    listener = Listener(
        batch=lambda report: said.print(str(report), style="dim"),
        notice=lambda line: said.print(line, style="yellow"),
    )
    view = chosen.name.replace("-", "_")
    options = Options(trigger=chosen.trigger, once=True, source=source)
    with stop_requested() as stopping, computed(settings, chosen, options, listener, stopping, view) as spark:
        with told_as(lambda cause: BadInput(f"the query does not run: {cause}", f"the table is {view}")):
            found = spark.sql(query)
            rows = in_utc(found.limit(_MOST_ROWS).collect())
        if as_json:
            for row in rows:
                print_row(row)
            return
        if rows:
            print_whole(out, table(view, found.columns, rows, most=_MOST_ROWS))
        else:
            out.print("no rows")
