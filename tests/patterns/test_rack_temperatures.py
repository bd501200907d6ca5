"""The average over all racks is an average of readings, not of averages; and no rack's name can spoil it."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from streaming.patterns.rack_temperatures import rack_temperatures
from tests.patterns.pattern_runs import as_batch, as_stream, by_key

SCHEMA = "rack string, temperature float, ts timestamp"
EIGHT = datetime(2017, 6, 2, 8, tzinfo=UTC)


def test_a_rack_that_reports_more_often_weighs_more_and_a_rack_called_all_counts_once(spark: SparkSession) -> None:
    events = [("rack1", 100.0, EIGHT), ("rack1", 100.0, EIGHT), ("rack1", 100.0, EIGHT), ("all", 60.0, EIGHT)]
    rows = as_batch(spark, events, StructType.fromDDL(SCHEMA), rack_temperatures)
    found = {(row["rack"], row["avg_temperature"], row["readings"]) for row in rows}
    assert found == {("rack1", 100.0, 3), ("all", 90.0, 4)}


def test_the_order_of_arrival_does_not_change_a_digit(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    temperatures = [float(np.float32(rng.uniform(60, 130))) for _ in range(400)]
    events = [(f"rack{rng.randrange(3)}", each, EIGHT + timedelta(seconds=rng.randrange(300))) for each in temperatures]
    schema = StructType.fromDDL(SCHEMA)
    batch = by_key(as_batch(spark, events, schema, rack_temperatures), "rack", "window_start")
    shuffled = rng.sample(events, len(events))
    batches = [shuffled[nth::2] for nth in range(2)]
    stream = as_stream(spark, tmp_path, batches, schema, rack_temperatures, output_mode="complete")
    assert by_key(stream, "rack", "window_start") == batch
    overall = {row["avg_temperature"] for (rack, _), row in batch.items() if rack == "all"}
    assert overall == {sum(temperatures) / 400}
