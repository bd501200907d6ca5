"""A lakehouse that cannot be used is one line in each command, and never a traceback."""

import json
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from common.errors import AdstreamError, BadInput, ConfigError, ServiceUnavailable, SinkError
from common.settings import LakehouseSettings, Settings
from streaming.iceberg import catalog
from streaming.iceberg.daily_jobs import BATCH_JOBS, Sale, load, run
from streaming.iceberg.validation import find as find_validation
from streaming.jobs import find
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.listener import Listener
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.sinks.iceberg import IcebergTable
from streaming.sinks.sink import Stamp, Write
from streaming.sources import Folder
from tests.e2e.commands import free_port

pytestmark = pytest.mark.locked_spark("no Iceberg runtime works on the Spark of real-time mode")

JOB = BATCH_JOBS["daily-sales"]
VALIDATION = find_validation("daily-sales")
MONDAY = date(2025, 6, 2)
SALES: list[Sale] = [(MONDAY, 1, 2, Decimal("10.00"), Decimal("20.00"))]
TOTALS = IcebergTable("totals", ("name",), "days(at)")
STAMP = Stamp(datetime(2026, 3, 1, tzinfo=UTC), 1)
MOVING = find("sensor-moving-averages")
HOURS = [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(5)]

# The type and settings of a catalog, and what its error line names.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a database without a driver": (
        {"type": "jdbc", "uri": "jdbc:nodriver://127.0.0.1/catalog"},
        "No suitable driver found for jdbc:nodriver://127.0.0.1/catalog",
    ),
    "a database that cannot be": ({"type": "jdbc", "uri": "jdbc:sqlite:/dev/null/catalog.db"}, "SQLITE_CANTOPEN"),
    "a service that is down": ({"type": "rest", "uri": "http://127.0.0.1:{port}"}, "Connection refused"),
    "a file system without its jar": ({"type": "hadoop", "warehouse": "s3a://bucket/warehouse"}, "S3AFileSystem"),
}


def lakehouse(spark: SparkSession, folder: Path, **changes: Any) -> LakehouseSettings:
    """Return the settings of a catalog of the test's own, in the running session."""
    found = LakehouseSettings().model_copy(update={"catalog": f"test_{secrets.token_hex(4)}", **changes})
    for name, value in catalog.spark_options(found, str(folder)).items():
        if name != "spark.sql.extensions":
            spark.conf.set(name, value)
    return found


def opened(spark: SparkSession, settings: LakehouseSettings) -> Write:
    whole = Settings()
    whole.lakehouse = settings
    return TOTALS.open(spark, whole, spark.createDataFrame([], "name string, at timestamp").schema)


# What commands do with the catalog: `produce`, `batch`, `show`, `validate` and its `--clean-up`, and `stream`.
USES: dict[str, Callable[[SparkSession, LakehouseSettings], Any]] = {
    "load": lambda spark, settings: load(spark, settings, JOB, SALES),
    "run": lambda spark, settings: run(spark, settings, JOB, None),
    "newest rows": lambda spark, settings: catalog.newest_rows(spark, settings, JOB.result, 3),
    "validate": lambda spark, settings: VALIDATION.run(spark, settings),
    "clean up": lambda spark, settings: VALIDATION.clean_up(spark, settings),
    "open": opened,
}


@contextmanager
def one_line(*kinds: type[AdstreamError], said: str, cause: str = "") -> Iterator[None]:
    with pytest.raises(kinds) as refused:
        yield
    print(refused.value)
    _, found, why = refused.value.problem.partition(said)
    assert found
    assert why
    assert cause in why
    assert refused.value.remedy
    assert not re.search(r"\n|\bat [\w.]+\(", str(refused.value))  # a second line, or a line of a stack


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_catalog_that_cannot_be_used_is_one_line(spark: SparkSession, tmp_path: Path, wrong: str, use: str) -> None:
    changes, cause = WRONG[wrong]
    if "uri" in changes:
        changes = changes | {"uri": changes["uri"].format(port=free_port())}
    settings = lakehouse(spark, tmp_path, **changes)
    said = f"the Iceberg catalog {settings.catalog} cannot be used: "
    with one_line(ServiceUnavailable, ConfigError, said=said, cause=cause):
        USES[use](spark, settings)


def test_a_batch_whose_catalog_is_gone_is_an_error_of_the_sink(spark: SparkSession, tmp_path: Path) -> None:
    database = tmp_path / "catalog.db"
    settings = lakehouse(spark, tmp_path / "warehouse", type="jdbc", uri=f"jdbc:sqlite:{database}")
    write = opened(spark, settings)
    rows = spark.createDataFrame([("a", STAMP.time)], "name string, at timestamp")
    assert write(rows, STAMP) == 1
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE iceberg_tables")
    with one_line(SinkError, said=".demo.totals was not written: "):
        write(rows, STAMP)


def test_rows_that_cannot_be_computed_are_no_error_of_the_sink(spark: SparkSession, tmp_path: Path) -> None:
    """The job looks for a message that crashes it, unless the sink says that the sink has failed."""
    write = opened(spark, lakehouse(spark, tmp_path, type="hadoop"))
    rows = spark.range(1).select(F.raise_error(F.lit("crash")).cast("string").alias("name"), F.now().alias("at"))
    with pytest.raises((PySparkException, Py4JJavaError), match="crash"):
        write(rows, STAMP)


def test_a_folder_that_cannot_take_data_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    settings = lakehouse(spark, tmp_path, type="hadoop")
    catalog.ensure_table(spark, settings, JOB.raw, JOB.schema, "transaction_date")
    (tmp_path / settings.namespace / JOB.raw / "data").write_text("a file in place of the folder")
    with one_line(SinkError, said=f".{JOB.raw} was not written: "):
        load(spark, settings, JOB, SALES)


def test_a_table_whose_files_are_missing_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    settings = lakehouse(spark, tmp_path, type="hadoop")
    load(spark, settings, JOB, SALES)
    run(spark, settings, JOB, None)
    for file in list(tmp_path.rglob("*.parquet")):
        file.unlink()
    for use in ("run", "newest rows", "validate"):
        with one_line(BadInput, said="cannot be read: "):
            USES[use](spark, settings)


class Moving:
    """The job `sensor-moving-averages` over files of readings an hour apart. Each batch is one file."""

    def __init__(self, spark: SparkSession, place: Path, settings: LakehouseSettings) -> None:
        self.notices: list[str] = []
        self.failures: list[str] = []
        self._spark, self._place = spark, place
        self._settings = Settings()
        self._settings.lakehouse = settings
        (place / "readings").mkdir()
        for number, time in enumerate(HOURS):
            file = place / "readings" / f"{number}.json"
            reading = {"sensor_id": "s1", "temperature": 70.0, "timestamp": f"{time:%Y-%m-%dT%H:%M:%SZ}"}
            file.write_text(json.dumps(reading), encoding="utf-8")
            os.utime(file, (time.timestamp(),) * 2)  # Spark reads the oldest file first

    def run(
        self,
        batch: Callable[[BatchReport], None] = lambda _report: None,
        failed: Callable[[int], None] = lambda _times: None,
    ) -> None:
        """Run the job over all files. `failed` gets the number of failures so far."""

        def note(reason: str) -> None:
            self.failures.append(reason)
            failed(len(self.failures))

        source = Folder(self._place / "readings", files_per_batch=1)
        options = Options(MOVING.trigger, once=True, checkpoint=str(self._place / "checkpoint"), source=source)
        listener = Listener(batch=batch, notice=self.notices.append, failed=note)
        Runner(self._spark, self._settings, MOVING, options, listener=listener, stopping=threading.Event()).run()


def test_a_job_tells_a_wrong_catalog_at_its_start(spark: SparkSession, tmp_path: Path) -> None:
    job = Moving(spark, tmp_path, lakehouse(spark, tmp_path, type="rest", uri=f"http://127.0.0.1:{free_port()}"))
    with one_line(ServiceUnavailable, said="cannot be used: ", cause="Connection refused"):
        job.run()
    assert not any("trying again" in line for line in job.notices)


def test_a_job_goes_on_when_its_catalog_comes_back(spark: SparkSession, tmp_path: Path) -> None:
    """The catalog goes away after the first rows. It comes back when a batch has failed, and then a start."""
    database = tmp_path / "catalog.db"
    settings = lakehouse(spark, tmp_path / "warehouse", type="jdbc", uri=f"jdbc:sqlite:{database}")
    away = False

    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"ALTER TABLE {before} RENAME TO {after}")

    def batch(report: BatchReport) -> None:
        nonlocal away
        if report.rows and not away:
            away = True
            rename("iceberg_tables", "elsewhere")

    def failed(times: int) -> None:
        if times == 2:
            rename("elsewhere", "iceberg_tables")

    job = Moving(spark, tmp_path, settings)
    job.run(batch, failed)
    print("\n".join(job.failures))
    [unwritten, unusable] = job.failures
    assert " was not written: " in unwritten
    assert " cannot be used: " in unusable
    _, rows = catalog.newest_rows(spark, settings, "sensor_5min_slide1min", 100)
    starts = [row["window_start"] for row in rows]
    closed = {time - nth * timedelta(minutes=1) for time in HOURS[:-2] for nth in range(5)}
    assert closed <= set(starts)
    assert len(starts) == len(set(starts))
