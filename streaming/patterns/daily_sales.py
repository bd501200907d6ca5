"""A day's sales per product, in batch; and the checks that a summary must pass before anybody relies on it."""

from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def daily_sales(raw: DataFrame) -> DataFrame:
    """Summarise sales per day and product. Use it as a batch: a day is complete when it is over.

    In: `transaction_date` (date), `product_id` (int), `quantity` (int), `unit_price` (decimal(10,2), currency),
    `amount` (decimal(12,2), quantity times unit price). Out: `transaction_date`, `product_id`, `transaction_count`,
    `total_quantity` (bigint), `total_revenue` (decimal with 2 places, exact), `avg_transaction_value` (decimal with 6
    places, rounded half-up), `max_transaction_value`, `min_transaction_value` (decimal with 2 places).
    """
    return raw.groupBy("transaction_date", "product_id").agg(
        F.count("*").alias("transaction_count"),
        F.sum("quantity").alias("total_quantity"),
        F.sum("amount").alias("total_revenue"),
        F.avg("amount").cast("decimal(16,6)").alias("avg_transaction_value"),
        F.max("amount").alias("max_transaction_value"),
        F.min("amount").alias("min_transaction_value"),
    )


@dataclass(frozen=True)
class Validation:
    """The compared figures, and the problems: one line each, none if all is well. Revenue in currency."""

    raw_rows: int
    summary_rows: int
    raw_revenue: Decimal
    summary_revenue: Decimal
    problems: tuple[str, ...]

    @property
    def reduction(self) -> float:
        """Return the number of raw rows per summary row; 0 if there is no summary."""
        return self.raw_rows / self.summary_rows if self.summary_rows else 0.0


def validate(raw: DataFrame, summary: DataFrame) -> Validation:
    """Compare raw sales with their summary (columns as in `daily_sales`), both of the same days.

    Reads each once, and adds up everything at once rather than by group: not the way the summary was made.
    """
    raw_faults, summary_faults = _faults_of_raw(raw), _faults_of_summary(summary)
    sales = raw.agg(
        F.count("*").alias("rows"),
        F.count("*").alias("transactions"),
        _sum("quantity").alias("quantity"),
        _sum("amount").alias("revenue"),
        *(F.count_if(fault).alias(name) for name, fault in raw_faults.items()),
    ).collect()[0]
    days = summary.agg(
        F.count("*").alias("rows"),
        F.count_distinct(F.struct("transaction_date", "product_id")).alias("keys"),
        _sum("transaction_count").alias("transactions"),
        _sum("total_quantity").alias("quantity"),
        _sum("total_revenue").alias("revenue"),
        *(F.count_if(fault).alias(name) for name, fault in summary_faults.items()),
    ).collect()[0]
    problems = [
        f"{name}: {sales[name]} in the raw sales, but {days[name]} in the summary"
        for name in ("transactions", "quantity", "revenue")
        if sales[name] != days[name]
    ]
    if days["rows"] != days["keys"]:
        problems.append(f"summaries of a day and product that has one already: {days['rows'] - days['keys']}")
    problems += [f"{name}: {sales[name]}" for name in raw_faults if sales[name]]
    problems += [f"{name}: {days[name]}" for name in summary_faults if days[name]]
    return Validation(sales["rows"], days["rows"], sales["revenue"], days["revenue"], tuple(problems))


def _faults_of_raw(raw: DataFrame) -> dict[str, Column]:
    wrong_amount = F.col("amount") != F.col("quantity") * F.col("unit_price")
    return {
        "raw sales with a null": _any_null(raw),
        "raw sales with a negative number": _any_negative("quantity", "unit_price", "amount"),
        "raw sales whose amount is not quantity times unit price": wrong_amount,
    }


def _faults_of_summary(summary: DataFrame) -> dict[str, Column]:
    lowest, average, highest = (F.col(f"{name}_transaction_value") for name in ("min", "avg", "max"))
    return {
        "summaries with a null": _any_null(summary),
        "summaries with a negative number": _any_negative("total_quantity", "total_revenue", "min_transaction_value"),
        "summaries whose average is not between minimum and maximum": ~average.between(lowest, highest),
    }


def _sum(name: str) -> Column:
    """Sum a column with its scale; 0 over nothing."""
    return F.coalesce(F.sum(name), F.lit(0))


def _any_null(rows: DataFrame) -> Column:
    return F.exists(F.array(*(F.col(name).isNull() for name in rows.columns)), lambda is_null: is_null)


def _any_negative(*names: str) -> Column:
    """Return whether any of these is negative: `least` skips nulls."""
    return F.least(*(F.col(name) for name in names)) < 0
