"""The daily summary against known figures and plain Python; and each check against a summary that it must refuse."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.patterns.daily_sales import daily_sales, validate

SCHEMA = "transaction_date date, product_id int, quantity int, unit_price decimal(10,2), amount decimal(12,2)"
Sale = tuple[date, int, int, Decimal, Decimal]


def seeded() -> list[Sale]:
    rng = random.Random(42)
    sales = []
    for day in (14, 15, 16):
        for _ in range(333):
            product, quantity = rng.choice([101, 102, 103]), rng.randint(1, 10)
            price = Decimal(str(rng.choice([29.99, 49.99, 99.99])))
            sales.append((date(2025, 1, day), product, quantity, price, quantity * price))
    return sales


@pytest.fixture(scope="module")
def raw(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(seeded(), SCHEMA).cache()


@pytest.fixture(scope="module")
def summary(raw: DataFrame) -> DataFrame:
    return daily_sales(raw).cache()


def test_the_seeded_sales_give_the_known_figures_and_pass_every_check(raw: DataFrame, summary: DataFrame) -> None:
    found = validate(raw, summary)
    assert found.problems == ()
    assert (found.raw_rows, found.summary_rows, found.reduction) == (999, 9, 111.0)
    assert found.raw_revenue == found.summary_revenue == Decimal("331414.74")
    products = summary.groupBy("product_id").agg(F.sum("total_revenue").alias("revenue")).collect()
    assert {row["product_id"]: row["revenue"] for row in products} == {
        101: Decimal("105992.19"),
        102: Decimal("108092.78"),
        103: Decimal("117329.77"),
    }


def test_every_cell_equals_plain_python(summary: DataFrame) -> None:
    groups: dict[tuple[date, int], list[Sale]] = defaultdict(list)
    for sale in seeded():
        groups[sale[0], sale[1]].append(sale)
    expected = set()
    for (day, product), sales in groups.items():
        amounts = [sale[4] for sale in sales]
        average = (sum(amounts) / len(amounts)).quantize(Decimal("0.000001"), ROUND_HALF_UP)
        quantity = sum(sale[2] for sale in sales)
        expected.add((day, product, len(sales), quantity, sum(amounts), average, max(amounts), min(amounts)))
    assert {tuple(row) for row in summary.collect()} == expected


def test_an_average_is_rounded_half_up_and_returns_are_allowed_by_the_sums(spark: SparkSession) -> None:
    amounts = {1: ["0.01", "0.02", "0.02"], 2: ["-0.01", "-0.02", "-0.02"], 3: ["0.01"] + ["0.00"] * 63}
    rows = [
        (date(2025, 1, 14), product, 1, Decimal(each), Decimal(each))
        for product, all_ in amounts.items()
        for each in all_
    ]
    found = daily_sales(spark.createDataFrame(rows, SCHEMA)).collect()
    averages = {row["product_id"]: str(row["avg_transaction_value"]) for row in found}
    # 0.01 / 64 is 0.00015625.
    assert averages == {1: "0.016667", 2: "-0.016667", 3: "0.000156"}


def doubled(rows: DataFrame) -> DataFrame:
    return rows.union(rows)


def changed(column: str, value: str) -> Callable[[DataFrame], DataFrame]:
    """Return a function that replaces one row's cell by an SQL expression."""
    cell = f"CASE WHEN transaction_date = '2025-01-14' AND product_id = 101 THEN {value} ELSE {column} END"
    return lambda rows: rows.withColumn(column, F.expr(cell))


@pytest.mark.parametrize(
    ("tamper", "problems"),
    [
        (
            doubled,
            [
                "transactions: 999 in the raw sales, but 1998 in the summary",
                "quantity: 5526 in the raw sales, but 11052 in the summary",
                "revenue: 331414.74 in the raw sales, but 662829.48 in the summary",
                "summaries of a day and product that has one already: 9",
            ],
        ),
        (
            changed("transaction_count", "transaction_count + 1"),
            ["transactions: 999 in the raw sales, but 1000 in the summary"],
        ),
        (changed("total_quantity", "total_quantity - 1"), ["quantity: 5526 in the raw sales, but 5525 in the summary"]),
        (
            changed("total_revenue", "total_revenue + 0.01"),
            ["revenue: 331414.74 in the raw sales, but 331414.75 in the summary"],
        ),
        (changed("max_transaction_value", "null"), ["summaries with a null: 1"]),
        (changed("min_transaction_value", "-0.01"), ["summaries with a negative number: 1"]),
        (
            changed("avg_transaction_value", "max_transaction_value + 0.000001"),
            ["summaries whose average is not between minimum and maximum: 1"],
        ),
        (
            changed("avg_transaction_value", "min_transaction_value - 0.000001"),
            ["summaries whose average is not between minimum and maximum: 1"],
        ),
    ],
)
def test_a_wrong_summary_is_refused(
    raw: DataFrame, summary: DataFrame, tamper: Callable[[DataFrame], DataFrame], problems: list[str]
) -> None:
    assert validate(raw, tamper(summary)).problems == tuple(problems)


@pytest.mark.parametrize(
    ("sale", "problem"),
    [
        ((None, 104, 1, Decimal("1.00"), Decimal("1.00")), "raw sales with a null: 1"),
        ((date(2025, 1, 17), 104, 1, None, Decimal("1.00")), "raw sales with a null: 1"),
        ((date(2025, 1, 17), 104, -1, Decimal("-1.00"), Decimal("1.00")), "raw sales with a negative number: 1"),
        (
            (date(2025, 1, 17), 104, 3, Decimal("1.10"), Decimal("3.31")),
            "raw sales whose amount is not quantity times unit price: 1",
        ),
    ],
)
def test_a_bad_sale_is_found_even_where_the_summary_agrees(
    spark: SparkSession, raw: DataFrame, sale: tuple[Any, ...], problem: str
) -> None:
    rows = raw.union(spark.createDataFrame([sale], SCHEMA))
    found = validate(rows, daily_sales(rows)).problems
    assert problem in found


def test_nothing_is_a_summary_of_nothing(raw: DataFrame) -> None:
    nothing = raw.limit(0)
    found = validate(nothing, daily_sales(nothing))
    assert (found.problems, found.raw_rows, found.summary_rows, found.reduction) == ((), 0, 0, 0.0)
    assert len(validate(raw, daily_sales(nothing)).problems) == 3
