"""Check whether users can rely on result tables in the lakehouse."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.patterns.daily_sales import validate

TUMBLING, SLIDING = "sensor_5min_avg", "sensor_5min_slide1min"
# The range of the generator's values: an average outside it is wrong.
COLDEST, HOTTEST = 60.0, 90.0


@dataclass(frozen=True)
class Check:
    """One condition, and its result."""

    what: str
    holds: bool
    found: str


def check_sensors(tumbling: DataFrame, sliding: DataFrame) -> list[Check]:
    """Check the generator's readings: averages of 5 minutes, and averages that start every minute."""
    rows, more = tumbling.count(), sliding.count()
    return [
        Check(f"{TUMBLING} is not empty", rows > 0, f"{rows:,} rows"),
        Check(f"{SLIDING} is not empty", more > 0, f"{more:,} rows"),
        Check("there are at least as many sliding windows", more >= rows, f"{more:,} and {rows:,}"),
        _within(TUMBLING, tumbling),
        _within(SLIDING, sliding),
        _once(TUMBLING, tumbling),
        _once(SLIDING, sliding),
    ]


def check_daily_sales(raw: DataFrame, summary: DataFrame) -> list[Check]:
    """Compare the stored summaries of all days with the raw sales of the same days."""
    days = summary.select("transaction_date").distinct()
    found = validate(raw.join(F.broadcast(days), "transaction_date", "left_semi"), summary)
    if not found.problems:
        said = f"{found.raw_rows:,} raw rows, {found.summary_rows:,} summaries, revenue {found.summary_revenue:,}"
        return [Check("summaries add up to the raw sales", found.summary_rows > 0, said)]
    return [Check("summaries add up to the raw sales", False, problem) for problem in found.problems]


def _within(name: str, table: DataFrame) -> Check:
    low, high = table.agg(F.min("avg_temperature"), F.max("avg_temperature")).collect()[0]
    holds = low is not None and COLDEST <= low <= high <= HOTTEST
    found = "no rows" if low is None else f"{low:.2f} to {high:.2f}"
    return Check(f"averages in {name} are within {COLDEST:.0f} to {HOTTEST:.0f}", holds, found)


def _once(name: str, table: DataFrame) -> Check:
    repeated = table.groupBy("sensor_id", "window_start").count().where("count > 1").count()
    return Check(f"no window of a sensor is in {name} twice", repeated == 0, f"{repeated:,} repeated")
