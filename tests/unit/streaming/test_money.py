"""Money is rounded once, half-up, by its shortest decimal text, and exact from then on."""

import random
from decimal import ROUND_HALF_UP, Decimal

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.patterns.money import currency, micros, rounded_ratio


def test_an_amount_is_rounded_half_up_by_its_shortest_decimal_text(spark: SparkSession) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    halves = [float(f"{rng.randint(0, 10 ** rng.randint(1, 9))}.{rng.randint(0, 999999):06d}5") for _ in range(3_000)]
    amounts = [0.0, 5e-7, 4.9999999e-7, 1.0000005, 0.285, 999_999.9999995, 1e-300, -0.0000005, -12.34] + [
        amount for amount in halves + [rng.random() * 10 ** rng.randint(-6, 5) for _ in range(3_000)] if amount <= 1e6
    ]
    rows = spark.createDataFrame(list(enumerate(amounts)), "number int, amount double")
    found = {
        row["number"]: row["micros"] for row in rows.select("number", micros(F.col("amount")).alias("micros")).collect()
    }
    assert found == {
        number: int((Decimal(repr(amount)) * 10**6).quantize(Decimal(1), ROUND_HALF_UP))
        for number, amount in enumerate(amounts)
    }


def test_currency_and_averages_keep_six_places(spark: SparkSession) -> None:
    cases = [
        (1_000_000, 3, "0.333333"),
        (1, 2, "0.000001"),
        (1, 3, "0.000000"),
        (10**18, 7, "142857142857.142857"),
        (9 * 10**18, 2, "4500000000000.000000"),
        (2**63 - 1, 2**63 - 2, "0.000001"),
        (9 * 10**18, 2**63 - 1, "0.000001"),
        (4 * 10**18, 2**63 - 1, "0.000000"),
        (-5, 3, "-0.000002"),
        (-1, 2, "-0.000001"),
    ]
    rows = spark.createDataFrame(
        [(number, *case[:2]) for number, case in enumerate(cases)], "n int, a bigint, b bigint"
    )
    averages = rows.orderBy("n").select(currency(rounded_ratio(F.col("a"), F.col("b"))).alias("average")).collect()
    assert [str(row["average"]) for row in averages] == [case[2] for case in cases]
    nothing = rows.limit(1).select(currency(rounded_ratio(F.col("a"), F.lit(0))).alias("average")).collect()
    assert nothing[0]["average"] is None
