"""Checks that tell whether result tables in the lakehouse can be relied on, and the clean-up after a trial."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from common.errors import ConfigError, MigrationError
from common.settings import LakehouseSettings
from common.text.nearest import did_you_mean
from streaming.iceberg import catalog
from streaming.iceberg.daily_jobs import DAILY_SALES, RAW_SALES
from streaming.patterns.daily_sales import validate

TUMBLING, SLIDING = "sensor_5min_avg", "sensor_5min_slide1min"
# What the generator sends; an average outside was computed wrong.
COLDEST, HOTTEST = 60.0, 90.0


@dataclass(frozen=True)
class Check:
    """One thing that must be so, and what was found."""

    what: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Validation:
    """`tables` are those that are checked, and removed by a clean-up."""

    tables: tuple[str, ...]
    check: Callable[..., list[Check]]

    def run(self, spark: SparkSession, settings: LakehouseSettings) -> list[Check]:
        """Raises MigrationError where a table is missing."""
        return self.check(*(_table(spark, settings, name) for name in self.tables))

    def clean_up(self, spark: SparkSession, settings: LakehouseSettings) -> list[str]:
        """Remove the tables and their files; returns their names."""
        names = [catalog.table_name(settings, name) for name in self.tables]
        for name in names:
            spark.sql(f"DROP TABLE IF EXISTS {name} PURGE")
        return names


def check_sensors(tumbling: DataFrame, sliding: DataFrame) -> list[Check]:
    """Averages of 5 minutes, and those that start every minute, over the generator's readings."""
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
    """The stored summaries of all days against the raw sales of the same days."""
    days = summary.select("transaction_date").distinct()
    found = validate(raw.join(F.broadcast(days), "transaction_date", "left_semi"), summary)
    if not found.problems:
        said = f"{found.raw_rows:,} raw rows, {found.summary_rows:,} summaries, revenue {found.summary_revenue:,}"
        return [Check("summaries add up to the raw sales", found.summary_rows > 0, said)]
    return [Check("summaries add up to the raw sales", False, problem) for problem in found.problems]


_SENSORS = Validation((TUMBLING, SLIDING), check_sensors)
VALIDATIONS = {
    "sensor-averages": _SENSORS,
    "sensor-moving-averages": _SENSORS,
    "daily-sales": Validation((RAW_SALES, DAILY_SALES), check_daily_sales),
}


def find(job: str) -> Validation:
    """Raises ConfigError with the nearest name."""
    found = VALIDATIONS.get(job)
    if found is None:
        remedy = did_you_mean(job, VALIDATIONS, f"there are {', '.join(VALIDATIONS)}")
        raise ConfigError(f"there is nothing to validate for {job}", remedy)
    return found


def _table(spark: SparkSession, settings: LakehouseSettings, name: str) -> DataFrame:
    found = catalog.existing_table(spark, settings, name)
    if found is None:
        where = catalog.table_name(settings, name)
        raise MigrationError(f"there is no table {where}", "run the job that writes it first")
    return found


def _within(name: str, table: DataFrame) -> Check:
    low, high = table.agg(F.min("avg_temperature"), F.max("avg_temperature")).collect()[0]
    holds = low is not None and COLDEST <= low <= high <= HOTTEST
    found = "no rows" if low is None else f"{low:.2f} to {high:.2f}"
    return Check(f"averages in {name} are within {COLDEST:.0f} to {HOTTEST:.0f}", holds, found)


def _once(name: str, table: DataFrame) -> Check:
    repeated = table.groupBy("sensor_id", "window_start").count().where("count > 1").count()
    return Check(f"no window of a sensor is in {name} twice", repeated == 0, f"{repeated:,} repeated")
