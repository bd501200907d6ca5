"""`adstream batch JOB`: compute one day's summaries, or all days', and replace them."""

from datetime import date
from typing import Annotated

import typer

from adstream.commands import completion
from common.errors import ConfigError
from common.settings import Settings
from common.text.moments import iso_date
from common.text.progress_line import Working
from common.text.terminal import Terminal


def batch(
    job: Annotated[str, typer.Argument(help="The batch job: daily-sales.", autocompletion=completion.batches)],
    day: Annotated[
        str | None, typer.Option("--date", help="The day, like 2025-01-15. Default: every day that has rows.")
    ] = None,
    master: Annotated[str | None, typer.Option(help="Spark master. Default: the setting's, local[2].")] = None,
) -> None:
    """Summarise raw rows by day. Run twice, or for an old day, it replaces that day's summaries and no others.

    The result is validated before it is written; when something is wrong with it, the previous summaries stay.

    Example: `adstream batch daily-sales --date 2025-01-15`
    """
    from streaming.iceberg.daily_jobs import find, run
    from streaming.spark.session import spark_session

    settings = Settings()
    chosen, wanted = find(job), parse_date(day)
    out = Terminal()
    with (
        Working("starting Spark") as working,
        spark_session(settings, job, master=master, lakehouse=True) as spark,
    ):
        working(f"computing {job}")
        found = run(spark, settings.lakehouse, chosen, wanted)
    out.print(
        f"{found.raw_rows:,} raw rows -> {found.summary_rows:,} summaries ({found.reduction:,.0f}x fewer),"
        f" revenue {found.summary_revenue:,} in both: validated and written to {chosen.result}"
    )


def parse_date(text: str | None) -> date | None:
    """Parse the day of an option. Raises ConfigError."""
    try:
        return None if text is None else iso_date(text)
    except ValueError:
        raise ConfigError(f"--date {text} is not a date", "give it like 2025-01-15") from None
