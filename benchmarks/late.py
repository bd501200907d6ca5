"""What it costs to count late events on the way: the job's plan with that count and without, in turns.

python -m benchmarks.late
"""

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from adstream.settings import Settings
from benchmarks import page
from benchmarks.pipeline import PLAN, as_messages, command
from streaming.judge import counted
from streaming.session import spark_session

SHARES = (0.0, 0.01, 1.0)
TIMES = 20_000
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def seconds(rows: DataFrame) -> float:
    began = time.perf_counter()
    rows.write.format("noop").mode("append").save()
    return time.perf_counter() - began


def main(
    rows: Annotated[int, typer.Option(min=TIMES, help="Messages per round.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
) -> None:
    """Measure, print, and write the table into docs/performance.md."""
    console = Console(highlight=False)
    settings = Settings()
    lines = []
    with tempfile.TemporaryDirectory(prefix="adstream-bench-") as folder:
        settings.data_dir = Path(folder)
        with spark_session(settings, "bench") as spark:
            # Of ten minutes and 100 ads, without ids: each event goes by its place.
            millis = F.lit(int(NOW.timestamp() * 1_000)) - F.col("id") % TIMES * (600_000 // TIMES)
            events = spark.range(rows).select(
                F.col("id").alias("number"), F.col("id") % 100, F.timestamp_millis(millis), F.lit(None)
            )
            as_messages(events.toDF("number", "ad", "time", "event_id")).write.parquet(f"{folder}/messages")
            stored = spark.read.parquet(f"{folder}/messages")
            for share in SHARES:
                # Half an hour after its time an event is late.
                late = F.pmod(F.xxhash64("offset"), F.lit(10_000)) < F.lit(int(share * 10_000))
                arrival = F.col("timestamp") + F.when(late, F.expr("INTERVAL 30 MINUTES")).otherwise(
                    F.expr("INTERVAL 0 MINUTES")
                )
                messages = stored.withColumn("timestamp", arrival)
                without, ratios = [], []
                for turn in range(rounds + 1):
                    plain = seconds(PLAN.job.compute(counted(PLAN.judged(messages))))
                    counting = seconds(PLAN.rows(messages))
                    if turn:
                        without.append(rows / plain)
                        ratios.append(counting / plain)
                lines.append((f"{share:.0%}", page.spread(without, 0), page.spread(ratios, 2)))
                console.print(*lines[-1])
    intro = [
        f"{rows:,} messages per round, {rounds} rounds in turns, decoded, judged and aggregated, and written nowhere.",
        page.conditions(),
    ]
    page.write("late", intro, ("late", "messages/s without the count", "times as long with it"), lines)


if __name__ == "__main__":
    command(main)
