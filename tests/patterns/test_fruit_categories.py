"""The join with a static table: each event once or not at all."""

import csv
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.fruit_categories import fruit_categories
from tests.patterns.pattern_runs import as_stream
from tests.patterns.sql_figures import CATEGORIES, at

FRUITS = "id int, value string, timestamp timestamp"


def test_the_list_has_a_category_for_each_of_30_fruits() -> None:
    with Path(str(CATEGORIES)).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    categories = {int(row["id"]): row["category"] for row in rows}
    assert len(rows) == 30
    assert categories.keys() == set(range(1, 31))
    assert all(categories.values())
    assert [categories[fruit] for fruit in (1, 2, 22, 26)] == ["fruit", "fruit", "spice", "vegetable"]


def test_an_id_listed_twice_doubles_nothing_and_one_without_category_does_not_come_out(
    spark: SparkSession, tmp_path: Path
) -> None:
    categories = spark.createDataFrame(
        [(1, "fruit"), (2, "tropical"), (2, "fruit"), (3, None)], "id int, category string"
    )
    # The last event is days late. It counts, because without state no event is too late.
    batches = [
        [(1, "apple", at("10:00:00")), (2, "banana", at("10:00:10")), (3, "x", at("10:00:20"))],
        [(4, "y", at("10:00:30")), (1, "apple", at("10:00:00"))],
        [(1, "pippin", at("10:00:00").replace(day=1))],
    ]
    rows = as_stream(
        spark,
        tmp_path,
        batches,
        StructType.fromDDL(FRUITS),
        lambda events: fruit_categories(events, categories),
        output_mode="append",
    )
    assert [(row["id"], row["value"], row["category"]) for row in rows] == [
        (1, "apple", "fruit"),
        (2, "banana", "fruit"),
        (1, "apple", "fruit"),
        (1, "pippin", "fruit"),
    ]
