"""A batch job writes validated summaries or none."""

import random
import secrets
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from common.errors import BadInput, MigrationError, Mismatch
from common.settings import LakehouseSettings
from producer.daily_sales import sample_sales
from streaming.iceberg import catalog
from streaming.iceberg.daily_jobs import BATCH_JOBS, Sale, load, run
from streaming.iceberg.validation import find as find_validation

JOB = BATCH_JOBS["daily-sales"]
pytestmark = pytest.mark.locked_spark("no Iceberg runtime works on the Spark of real-time mode")

SAMPLE_DAYS = (date(2025, 1, 14), date(2025, 1, 15), date(2025, 1, 16))
MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)


def sale(day: date, product: int, quantity: int, price: str, amount: str | None = None) -> Sale:
    unit = Decimal(price)
    return day, product, quantity, unit, unit * quantity if amount is None else Decimal(amount)


@pytest.fixture(params=["hadoop", "jdbc"])
def settings(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> LakehouseSettings:
    """A catalog of the test's own in the running session: a folder, or SQLite over JDBC."""
    found = LakehouseSettings().model_copy(update={"catalog": f"test_{secrets.token_hex(4)}", "type": request.param})
    if request.param == "jdbc":
        found = found.model_copy(update={"uri": f"jdbc:sqlite:{tmp_path / 'catalog.db'}"})
    for name, value in catalog.spark_options(found, str(tmp_path / "warehouse")).items():
        if name != "spark.sql.extensions":
            spark.conf.set(name, value)
    return found


def stored(spark: SparkSession, settings: LakehouseSettings) -> dict[tuple[date, int], tuple[int, Decimal]]:
    rows = spark.table(catalog.table_name(settings, JOB.result)).collect()
    return {(r["transaction_date"], r["product_id"]): (r["transaction_count"], r["total_revenue"]) for r in rows}


def test_a_summary_that_does_not_hold_is_not_written_and_the_previous_one_stays(
    spark: SparkSession, settings: LakehouseSettings
) -> None:
    load(spark, settings, JOB, [sale(MONDAY, 1, 2, "10.00"), sale(MONDAY, 1, 1, "5.50"), sale(TUESDAY, 2, 1, "7.25")])
    assert run(spark, settings, JOB, None).problems == ()
    good = {(MONDAY, 1): (2, Decimal("25.50")), (TUESDAY, 2): (1, Decimal("7.25"))}
    assert stored(spark, settings) == good

    load(spark, settings, JOB, [sale(MONDAY, 1, 2, "10.00", amount="99.00")])
    with pytest.raises(Mismatch, match="amount"):
        run(spark, settings, JOB, MONDAY)
    assert stored(spark, settings) == good

    with pytest.raises(BadInput, match="holds no rows of 2020-01-01"):
        run(spark, settings, JOB, date(2020, 1, 1))
    assert stored(spark, settings) == good

    load(spark, settings, JOB, [sale(MONDAY, 3, 1, "1.00")])
    run(spark, settings, JOB, MONDAY)
    run(spark, settings, JOB, MONDAY)
    assert stored(spark, settings) == {(MONDAY, 3): (1, Decimal("1.00")), (TUESDAY, 2): (1, Decimal("7.25"))}


def sample_in_plain_python() -> dict[tuple[date, int], tuple[int, Decimal]]:
    """Make the documented sample again in plain Python: number of sales and revenue by date and product."""
    rng = random.Random(42)
    found: dict[tuple[date, int], tuple[int, Decimal]] = {}
    for day in SAMPLE_DAYS:
        for _ in range(333):
            product, quantity = rng.choice([101, 102, 103]), rng.randint(1, 10)
            amount = quantity * Decimal(str(rng.choice([29.99, 49.99, 99.99])))
            count, revenue = found.get((day, product), (0, Decimal(0)))
            found[day, product] = (count + 1, revenue + amount)
    return found


def test_the_documented_sample_gives_its_figures_and_a_day_replaces_only_itself(
    spark: SparkSession, settings: LakehouseSettings
) -> None:
    assert load(spark, settings, JOB, sample_sales()) == 999
    found = run(spark, settings, JOB, None)
    assert (found.raw_rows, found.summary_rows, found.reduction) == (999, 9, 111)
    assert found.raw_revenue == found.summary_revenue == Decimal("331414.74")
    whole = stored(spark, settings)
    assert whole == sample_in_plain_python()
    by_product = {
        product: sum(row[1] for key, row in whole.items() if key[1] == product) for product in (101, 102, 103)
    }
    assert by_product == {101: Decimal("105992.19"), 102: Decimal("108092.78"), 103: Decimal("117329.77")}

    run(spark, settings, JOB, SAMPLE_DAYS[0])
    assert stored(spark, settings) == whole, "an old date again changes nothing"
    load(spark, settings, JOB, [sale(SAMPLE_DAYS[1], 101, 1, "29.99")])
    run(spark, settings, JOB, SAMPLE_DAYS[1])
    others = {key: row for key, row in whole.items() if key[0] != SAMPLE_DAYS[1]}
    assert stored(spark, settings) == others | {(SAMPLE_DAYS[1], 101): (1, Decimal("29.99"))}

    validation = find_validation("daily-sales")
    assert [check.holds for check in validation.run(spark, settings)] == [True]
    assert len(validation.clean_up(spark, settings)) == 2
    with pytest.raises(MigrationError, match="there is no table"):
        validation.run(spark, settings)
