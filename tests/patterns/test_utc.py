"""On a machine in any zone the driver's times are UTC, also those that PySpark gives to Python without a zone."""

from pathlib import Path

from tests.patterns.own_process import answer

# At 01:00 UTC the clocks of Berlin went from 03:00 back to 02:00: both instants are 02:00 there.
COLLECTED = """
import json
from common.settings import Settings
from streaming.spark.session import open_session

spark = open_session(Settings(), "zones")
rows = spark.sql("SELECT explode(array(timestamp'2025-10-26T00:00:00Z', timestamp'2025-10-26T01:00:00Z')) AS at")
collected = rows.collect()
again = spark.createDataFrame(collected, rows.schema).selectExpr("unix_seconds(at) AS seconds").collect()
print(json.dumps({"times": [str(row.at) for row in collected], "seconds": [row.seconds for row in again]}))
"""


def test_no_hour_is_moved_and_none_comes_twice(tmp_path: Path) -> None:
    assert answer(COLLECTED, tmp_path, TZ="Europe/Berlin", ADSTREAM_SPARK_UI="false") == {
        "times": ["2025-10-26 00:00:00", "2025-10-26 01:00:00"],
        "seconds": [1_761_436_800, 1_761_440_400],
    }
