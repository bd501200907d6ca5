"""JSON files in output mode update: which late events still count, which are dropped, and how the job shows it."""

import json
import os
from datetime import UTC
from pathlib import Path

from pyspark.sql import DataFrame, Row, SparkSession

from streaming.patterns.mobile_actions import mobile_actions


def test_a_late_open_counts_while_its_window_is_open_and_is_dropped_and_counted_as_late_after(
    spark: SparkSession, tmp_path: Path
) -> None:
    files: list[list[str]] = [
        ["10:11:00", "10:21:00", "10:33:50"],
        # Spark drops late events by the previous batch's watermark. An empty batch puts 10:23:50 into force.
        [],
        ["10:29:35", "10:11:35"],
    ]
    folder = tmp_path / "files"
    folder.mkdir()
    for number, times in enumerate(files):
        lines = [json.dumps({"id": "phone1", "action": "open", "ts": f"2018-03-02T{time}Z"}) for time in times]
        file = folder / f"{number}.json"
        file.write_text("\n".join(lines), encoding="utf-8")
        os.utime(file, (1_000_000 + number, 1_000_000 + number))
    emitted: list[list[Row]] = []

    def sink(rows: DataFrame, _batch: int) -> None:
        emitted.append(rows.collect())

    events = spark.readStream.schema("id string, action string, ts timestamp").option("maxFilesPerTrigger", 1)
    query = (
        mobile_actions(events.json(str(folder)))
        .writeStream.outputMode("update")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(sink)
        .start()
    )
    query.awaitTermination()
    counts = [
        {row["window_start"].astimezone(UTC).strftime("%H:%M"): row["actions"] for row in rows} for rows in emitted[:3]
    ]
    assert counts == [{"10:10": 1, "10:20": 1, "10:30": 1}, {}, {"10:20": 2}]
    late = [
        sum(operator.numRowsDroppedByWatermark for operator in each.stateOperators) for each in query.recentProgress
    ]
    assert late[:3] == [0, 0, 1]
