"""A repeated event counts once: in the same batch, in a later one, after a restart, from a second producer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.e2e.pipeline import Pipeline

COUNT = 2_000
CSV = Path(__file__).parents[2] / "mock_data.csv"


def test_ten_percent_duplicates_and_a_producer_run_twice_count_once(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH", "500")  # so that repetitions cross batches
    start = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    made = ("--seed", "7", "--count", str(COUNT), "--start", start, "--rate", "0")  # the same bytes each time
    run = (*made, "--ads", "10", "--duplicates", "0.1")
    pipeline.produce(*run)
    said = pipeline.run(spark)
    assert any(line.startswith("batch 3 ") for line in said)
    first = pipeline.verified().fates
    assert first["duplicate"] > 0.08 * COUNT
    assert first["counted"] + first["duplicate"] == COUNT

    # The same run again, as of a producer that restarts without a record of its progress.
    pipeline.produce(*run)
    pipeline.run(spark)  # a restart: the checkpoint has the ids of the first run
    second = pipeline.verified().fates
    assert second == {**first, "duplicate": first["duplicate"] + COUNT}


def test_a_csv_sent_twice_counts_once(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--csv", str(CSV))
    rows = len(CSV.read_text(encoding="utf-8").splitlines()) - 1
    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": rows, "duplicate": 0, "late": 0, "dead": 0}
    pipeline.produce("--csv", str(CSV))
    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": rows, "duplicate": rows, "late": 0, "dead": 0}


def test_overlapping_exports_count_each_row_once(spark: SparkSession, pipeline: Pipeline, tmp_path: Path) -> None:
    header, *rows = CSV.read_text(encoding="utf-8").splitlines()
    exports = {"yesterday.csv": rows, "today.csv": ["ad-001,2025-01-31T10:04:00Z,1,2,0.5", *rows[::-1]]}
    for name, lines in exports.items():
        (tmp_path / name).write_text("\n".join([header, *lines]), encoding="utf-8")
        pipeline.produce("--csv", str(tmp_path / name))
        pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": len(rows) + 1, "duplicate": len(rows), "late": 0, "dead": 0}
