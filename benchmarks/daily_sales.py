"""Compares queries on ten million raw sales with the same queries on their daily summary.

Both tables are in Iceberg. Run it with `python -m benchmarks.daily_sales`.
"""

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from benchmarks import page
from benchmarks.pipeline import command
from common.settings import Settings
from streaming.iceberg import catalog
from streaming.iceberg.daily_jobs import BATCH_JOBS, BatchJob, run
from streaming.spark.session import spark_session

DAYS, PRODUCTS = 30, 100
FIRST_DAY = date(2025, 1, 1)


def fill(spark: SparkSession, settings: Settings, job: BatchJob, rows: int) -> None:
    """Let Spark generate raw sales of 30 days and 100 products, and write them to the job's raw table."""
    number = F.col("id")
    price = F.element_at(F.array(F.lit(29.99), F.lit(49.99), F.lit(99.99)), (number % 3 + 1).cast("int"))
    quantity = (F.pmod(F.xxhash64(number), F.lit(10)) + 1).cast("int")
    sales = spark.range(rows).select(
        F.date_add(F.lit(FIRST_DAY), (number % DAYS).cast("int")).alias("transaction_date"),
        (F.pmod(F.xxhash64(number, F.lit(1)), F.lit(PRODUCTS)) + 101).cast("int").alias("product_id"),
        quantity.alias("quantity"),
        price.cast("decimal(10,2)").alias("unit_price"),
        (price.cast("decimal(10,2)") * quantity).cast("decimal(12,2)").alias("amount"),
    )
    where = catalog.ensure_table(spark, settings.lakehouse, job.raw, job.schema, "transaction_date")
    sales.writeTo(where).overwritePartitions()


def questions(raw: DataFrame, summary: DataFrame) -> dict[str, tuple[DataFrame, DataFrame]]:
    """Return for each question two queries with the same answer: over raw sales, and over the summary."""
    month = raw.groupBy("product_id").agg(F.sum("amount").alias("revenue"), F.count("*").alias("sales"))
    month_short = summary.groupBy("product_id").agg(
        F.sum("total_revenue").alias("revenue"), F.sum("transaction_count").alias("sales")
    )
    day = F.col("transaction_date") == F.lit(FIRST_DAY)
    one = raw.where(day).agg(F.sum("amount").alias("revenue"), F.max("amount").alias("largest"))
    one_short = summary.where(day).agg(
        F.sum("total_revenue").alias("revenue"), F.max("max_transaction_value").alias("largest")
    )
    return {"revenue and sales per product, 30 days": (month, month_short), "revenue of one day": (one, one_short)}


def timed(query: DataFrame) -> tuple[float, set[tuple[object, ...]]]:
    began = time.perf_counter()
    rows = query.collect()
    return time.perf_counter() - began, {tuple(row) for row in rows}


def main(
    rows: Annotated[int, typer.Option(min=1_000, help="Raw rows.")] = 10_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, print a table, and write it into docs/performance.md."""
    console = Console(highlight=False)
    settings, job = Settings(), BATCH_JOBS["daily-sales"]
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder:
        settings.data_dir = Path(folder)
        with spark_session(settings, "bench", lakehouse=True) as spark:
            with console.status(f"writing {rows:,} raw sales"):
                fill(spark, settings, job, rows)
            began = time.perf_counter()
            with console.status("summarising"):
                found = run(spark, settings.lakehouse, job, None)
            batch = time.perf_counter() - began
            console.print(f"{found.raw_rows:,} raw rows -> {found.summary_rows:,} summaries in {batch:.1f} s")
            raw, summary = (spark.table(catalog.table_name(settings.lakehouse, t)) for t in (job.raw, job.result))
            results: dict[str, list[tuple[float, float]]] = {}
            for turn in range(rounds + 1):
                for question, (long, short) in questions(raw, summary).items():
                    (slow, one), (fast, other) = timed(long), timed(short)
                    if one != other:
                        raise AssertionError(f"{question}: the two ways differ")
                    if turn:
                        results.setdefault(question, []).append((slow, fast))
    head = ("question", "raw scan, s", "summary, s", "times faster")
    lines = [
        (
            question,
            *(page.spread(each, 2) for each in zip(*seconds, strict=True)),
            page.spread([slow / fast for slow, fast in seconds]),
        )
        for question, seconds in results.items()
    ]
    intro = [
        (
            f"{found.raw_rows:,} raw rows of {DAYS} days and {PRODUCTS} products, {found.summary_rows:,} summaries"
            f" ({found.reduction:,.0f}x fewer); summarising and validating took {batch:.0f} s."
        ),
        f"{rounds} rounds in turns.",
        page.conditions(),
    ]
    page.write("daily-sales", intro, head, lines)


if __name__ == "__main__":
    command(main)
