"""Batch jobs and the Iceberg catalog as a user runs them."""

from pathlib import Path

import pytest

from tests.e2e.commands import adstream


def test_daily_sales_from_raw_rows_to_validated_summaries_without_any_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")

    def run(*arguments: str) -> str:
        done = adstream(*arguments, COLUMNS="200")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "999 raw sales of 2025-01-14 to 2025-01-16 stored" in run("produce", "daily-sales", "--sample")
    said = run("batch", "daily-sales", "--date", "2025-01-15")
    assert "333 raw rows -> 3 summaries (111x fewer)" in said
    shown = [line.split()[:3] for line in run("show", "daily-sales").splitlines()]
    assert [line[:2] for line in shown if line and line[0] == "2025-01-15"] == [
        ["2025-01-15", product] for product in ("101", "102", "103")
    ]
    checked = run("validate", "daily-sales", "--clean-up")
    assert "ok     summaries add up to the raw sales: 333 raw rows, 3 summaries" in checked
    assert "removed lakehouse.demo.sales_daily_summary" in checked
