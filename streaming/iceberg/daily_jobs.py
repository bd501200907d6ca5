"""The catalogue of batch jobs: each computes a table from an Iceberg table, by date."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from common.errors import BadInput, ConfigError, Mismatch
from common.settings import LakehouseSettings
from common.text.nearest import did_you_mean
from streaming.iceberg import catalog
from streaming.patterns.daily_sales import Validation, daily_sales, validate

RAW_SALES = "sales_transactions_raw"
DAILY_SALES = "sales_daily_summary"
_BY_DATE = "transaction_date"

SALES = T.StructType(
    [
        T.StructField("transaction_date", T.DateType()),
        T.StructField("product_id", T.IntegerType()),
        T.StructField("quantity", T.IntegerType()),
        T.StructField("unit_price", T.DecimalType(10, 2)),
        T.StructField("amount", T.DecimalType(12, 2)),
    ]
)
# transaction_date, product_id, quantity, unit_price, amount
Sale = tuple[date, int, int, Decimal, Decimal]


@dataclass(frozen=True)
class BatchJob:
    """`raw` and `summary` are tables in the namespace of the settings, both partitioned by `transaction_date`."""

    name: str
    summary: str
    raw: str
    result: str
    schema: T.StructType
    pattern: Callable[[DataFrame], DataFrame]
    validate: Callable[[DataFrame, DataFrame], Validation]


BATCH_JOBS = {
    job.name: job
    for job in [
        BatchJob(
            "daily-sales",
            "sales per day and product, from the raw sales",
            RAW_SALES,
            DAILY_SALES,
            SALES,
            daily_sales,
            validate,
        )
    ]
}


def find(name: str) -> BatchJob:
    """Find the job of this name. Raises ConfigError with the nearest name."""
    job = BATCH_JOBS.get(name)
    if job is None:
        remedy = did_you_mean(name, BATCH_JOBS, f"there is {', '.join(BATCH_JOBS)}")
        raise ConfigError(f"there is no batch job {name}", remedy)
    return job


def load(spark: SparkSession, settings: LakehouseSettings, job: BatchJob, rows: Iterable[Sale]) -> int:
    """Store raw rows, replacing the rows of the same days. Returns their number."""
    raw = spark.createDataFrame(list(rows), job.schema)
    return _replace_days(spark, settings, job.raw, raw)


def run(spark: SparkSession, settings: LakehouseSettings, job: BatchJob, day: date | None) -> Validation:
    """Summarise a day, or every day with rows, and replace the summaries of these days in one commit.

    The job validates the summaries first, and writes them only if all checks pass. Raises BadInput if there are no raw
    rows or they cannot be read, and Mismatch with the first problem. In each case the previous summaries stay.
    """
    where = catalog.ensure_table(spark, settings, job.raw, job.schema, _BY_DATE)
    with catalog.reading(job.raw):
        table = spark.table(where)
        raw = table if day is None else table.where(F.col(_BY_DATE) == F.lit(day))
        empty = raw.isEmpty()
    if empty:
        which = "" if day is None else f" of {day}"
        raise BadInput(f"{job.raw} holds no rows{which}", f"load some with `adstream produce {job.name}`")
    summary = job.pattern(raw).persist()
    try:
        with catalog.reading(job.raw):
            found = job.validate(raw, summary)
        if found.problems:
            more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
            raise Mismatch(
                f"the summary does not hold: {found.problems[0]}{more}",
                f"nothing was written; correct {job.raw} and run it again",
            )
        _replace_days(spark, settings, job.result, summary)
        return found
    finally:
        summary.unpersist()


def _replace_days(spark: SparkSession, settings: LakehouseSettings, name: str, rows: DataFrame) -> int:
    where = catalog.ensure_table(spark, settings, name, rows.schema, _BY_DATE)
    with catalog.writing(where):
        rows.writeTo(where).overwritePartitions()
        return rows.count()
