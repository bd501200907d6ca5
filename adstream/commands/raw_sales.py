"""`adstream produce daily-sales`: raw sales of whole days, into the lakehouse and not to Kafka."""

import secrets
from datetime import UTC, datetime
from typing import Any

from adstream.commands.batch import parse_date
from common.errors import ConfigError
from common.settings import Settings
from common.text.progress_line import Working
from common.text.shown import say
from common.text.terminal import Terminal

JOB = "daily-sales"
DEFAULT_SALES = 1_000
_OPTIONS = ("sample", "date", "count", "seed")


def load_raw_sales(settings: Settings, given: dict[str, Any]) -> None:
    """Store a day's raw sales in place of the day's stored rows. `given` are the options that the user has set."""
    from producer.daily_sales import sales_of, sample_sales
    from streaming.iceberg.daily_jobs import BATCH_JOBS, load
    from streaming.spark.session import spark_session

    for name in given:
        if name not in _OPTIONS:
            raise ConfigError(f"--{name.replace('_', '-')} has no meaning for {JOB}", "leave it out")
        if "sample" in given and name != "sample":
            raise ConfigError(f"--{name} has no meaning with --sample", "leave it out")
    if "sample" in given:
        rows = list(sample_sales())
    else:
        day = parse_date(given.get("date")) or datetime.now(UTC).date()
        seed = given.get("seed", secrets.randbits(32))
        if "seed" not in given:
            say(f"seed {seed}", err=True)
        rows = list(sales_of(day, seed, given.get("count", DEFAULT_SALES)))
    days = sorted({row.transaction_date for row in rows})
    job, out = BATCH_JOBS[JOB], Terminal()
    with (
        Working("starting Spark, which writes Iceberg"),
        spark_session(settings, "produce", lakehouse=True) as spark,
    ):
        stored = load(spark, settings.lakehouse, job, rows)
    of = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    out.print(f"{stored:,} raw sales of {of} stored in {job.raw}")
    out.print(f"next: adstream batch {JOB}{f' --date {days[0]}' if len(days) == 1 else ''}")
