"""What it costs to count late events on the way: the job's plan with that count and without, in turns.

python -m benchmarks.late
"""

import io
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import fastavro
import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console

from adstream import contracts, wire
from adstream.settings import Settings
from benchmarks import page
from streaming.jobs import JOBS
from streaming.judge import counted
from streaming.pipeline import Pipeline
from streaming.session import spark_session

SHARES = (0.0, 0.01, 1.0)
DIFFERENT = 20_000
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PIPELINE = Pipeline(JOBS["ad-metrics"], {1: contracts.latest("ads_data")}, json=False)


def fill(spark: SparkSession, folder: str, rows: int) -> None:
    """Messages as Kafka gives them, of ten minutes."""
    schema = fastavro.parse_schema(PIPELINE.writers[1].schema)
    made = []
    for number in range(DIFFERENT):
        time_of = NOW - timedelta(milliseconds=number * 600_000 // DIFFERENT)
        event = {
            "ad_id": f"ad-{number % 100}", "timestamp": time_of, "clicks": 1, "views": 4, "cost": 0.5,
            "event_id": None,
        }  # fmt: skip
        payload = io.BytesIO()
        fastavro.schemaless_writer(payload, schema, event)
        made.append((wire.frame(1, payload.getvalue()), number, time_of))
    once = spark.createDataFrame(made, "value binary, number bigint, time timestamp")
    times = spark.range(rows // DIFFERENT).crossJoin(F.broadcast(once))
    times.select(
        F.lit(None).cast("binary").alias("key"), "value", F.lit("ads").alias("topic"), F.lit(0).alias("partition"),
        (F.col("id") * DIFFERENT + F.col("number")).alias("offset"), "time",
    ).repartition(8).write.parquet(folder)  # fmt: skip


def seconds(rows: DataFrame) -> float:
    began = time.perf_counter()
    rows.write.format("noop").mode("append").save()
    return time.perf_counter() - began


def main(
    rows: Annotated[int, typer.Option(min=DIFFERENT, help="Messages per round.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, print, and write the table into docs/performance.md."""
    console = Console(highlight=False)
    settings, load = Settings(), os.getloadavg()[0]
    lines = []
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder:
        settings.data_dir = Path(folder)
        with spark_session(settings, "bench") as spark:
            fill(spark, f"{folder}/messages", rows)
            stored = spark.read.parquet(f"{folder}/messages")
            for share in SHARES:
                # Half an hour after its time an event is late.
                late = F.pmod(F.xxhash64("offset"), F.lit(10_000)) < F.lit(int(share * 10_000))
                arrival = F.col("time") + F.when(late, F.expr("INTERVAL 30 MINUTES")).otherwise(
                    F.expr("INTERVAL 0 MINUTES")
                )
                messages = stored.withColumn("timestamp", arrival).drop("time")
                without, ratios = [], []
                for turn in range(rounds + 1):
                    plain = seconds(PIPELINE.job.compute(counted(PIPELINE.judged(messages))))
                    counting = seconds(PIPELINE.rows(messages))
                    if turn:
                        without.append(rows / plain)
                        ratios.append(counting / plain)
                lines.append((f"{share:.0%}", page.spread(without, 0), page.spread(ratios, 2)))
                console.print(*lines[-1])
    intro = [
        f"{rows:,} messages per round, {rounds} rounds in turns, decoded, judged and aggregated, and written nowhere.",
        f"Machine: {page.machine()}; load average {load:.1f} before and {os.getloadavg()[0]:.1f} after.",
    ]
    page.write("late", intro, ("late", "messages/s without the count", "times as long with it"), lines)


if __name__ == "__main__":
    typer.run(main)
