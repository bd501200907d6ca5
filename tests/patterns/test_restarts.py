"""A job starts again after a batch failed, or after its state was damaged. No service: events are JSON files."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.errors import BadInput, CheckpointError, SinkError
from common.settings import Settings
from streaming.jobs import find
from streaming.monitoring.listener import Listener
from streaming.query.claim import refuse_what_cannot_go_on
from streaming.query.options import Options
from streaming.query.runner import Runner
from streaming.recovery.checkpoint import Checkpoint
from streaming.sinks.sink import Sink, Stamp, Write
from streaming.sources import Folder, Topic
from tests.e2e.commands import free_port
from tests.unit.test_runner_failures import prepared

ADS, FILES = 60, 3
# Hadoop's checksums cover pieces of this many bytes. A file cut between two pieces looks complete to Hadoop.
PIECE = 512


class Totals(Sink):
    """A sink that keeps the totals. In one batch it fails, after rows and state are complete."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.clicks: dict[str, int] = {}
        self._left = -1 if fails_at is None else fails_at

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return self._write

    def _write(self, rows: DataFrame, _stamp: Stamp) -> int:
        found = rows.collect()
        self._left -= 1
        if self._left == -1:
            raise BadInput("the sink fails", "this ends the run at once, as a killed driver would")
        self.clicks |= {row["ad_id"]: row["total_clicks"] for row in found if row["kind"] == "total"}
        return len(found)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """One file per batch, with one event of each ad."""
    folder = tmp_path / "events"
    folder.mkdir()
    for number in range(FILES):
        file = folder / f"{number}.json"
        file.write_text("\n".join(json.dumps(event(number, ad)) for ad in range(ADS)), encoding="utf-8")
    return folder


def event(number: int, ad: int) -> dict[str, Any]:
    moment = int(datetime.now(UTC).timestamp())
    name = f"{number}-{ad}"
    return {"ad_id": f"ad-{ad}", "timestamp": moment, "clicks": 1, "views": 2, "cost": 0.5, "event_id": name}


def run(
    spark: SparkSession,
    inputs: Path,
    checkpoint: Path | str,
    totals: Totals,
    failed: Callable[[str], None] = lambda _reason: None,
) -> None:
    job = find("ad-metrics")
    source = Folder(inputs, files_per_batch=1)
    options = Options(job.trigger, once=True, checkpoint=str(checkpoint), source=source, sinks=(totals,))
    listener = Listener(batch=lambda _report: None, notice=lambda _line: None, failed=failed)
    try:
        Runner(spark, Settings(), job, options, listener=listener, stopping=threading.Event()).run()
    finally:
        java: Any = spark._jvm
        java.org.apache.spark.sql.execution.streaming.state.StateStore.stop()  # so that a new driver reads the files


def state_files(checkpoint: Path) -> Iterator[Path]:
    """Yield the files that the state's next reader reads, including Spark's checksums."""
    yield from sorted(checkpoint.glob("state/*/*/[0-9]*.*"))


def test_a_batch_that_failed_behind_its_state_is_done_again(spark: SparkSession, inputs: Path, tmp_path: Path) -> None:
    checkpoint, totals = tmp_path / "checkpoint", Totals(fails_at=1)
    with pytest.raises(BadInput):
        run(spark, inputs, checkpoint, totals)
    of_the_failed = {file.name for file in state_files(checkpoint)}
    assert of_the_failed == {"1.changelog", "2.changelog"}  # and no checksums that a next attempt could leave behind
    run(spark, inputs, checkpoint, totals)
    assert totals.clicks == {f"ad-{ad}": FILES for ad in range(ADS)}


def test_checksums_that_spark_left_there_by_another_attempt_count_for_nothing(
    spark: SparkSession, inputs: Path, tmp_path: Path
) -> None:
    """In Spark 4.1 a driver that dies between a file and its checksum never starts again (SPARK-56461)."""
    checkpoint, totals = tmp_path / "checkpoint", Totals(fails_at=2)
    with pytest.raises(BadInput):
        run(spark, inputs, checkpoint, totals)
    for file in list(state_files(checkpoint)):
        by = {"algorithm": "CRC32C", "value": 1, "mainFileSize": 1, "timestampMs": 1, "creator": {}}
        file.with_name(f"{file.name}.crc").write_text(json.dumps(by), encoding="ascii")
        file.with_name(f".{file.name}.crc.crc").unlink(missing_ok=True)  # Hadoop's checksum of Spark's checksum
    run(spark, inputs, checkpoint, totals)
    assert totals.clicks == {f"ad-{ad}": FILES for ad in range(ADS)}


def test_a_checkpoint_with_another_option_is_refused_as_somebody_typed_it(spark: SparkSession, tmp_path: Path) -> None:
    checkpoint = Checkpoint(spark, str(tmp_path / "checkpoint"))
    made_with = {"job": "ad-clicks", "window_seconds": 60.0, "slide_seconds": 0.5, "dedupe": True}
    assert checkpoint.claim(made_with) == {}
    assert checkpoint.claim(made_with) == {}
    for other, said in [
        ({"window_seconds": 300.0}, "window=1m, not 5m;"),
        ({"slide_seconds": 90.0}, "slide=500ms, not 90s;"),
        ({"dedupe": False}, "dedupe=True, not False;"),
        ({"readings": 3}, "readings=None, not 3;"),
    ]:
        with pytest.raises(CheckpointError, match=f"was made with {said}"):
            checkpoint.claim(made_with | other)


@pytest.fixture
def impatient(spark: SparkSession) -> Iterator[None]:
    """Let Hadoop's client ask a service that is down once. By default it asks for some minutes."""
    java: Any = spark._jsc
    hadoop, option = java.hadoopConfiguration(), "ipc.client.connect.max.retries"
    hadoop.set(option, "0")
    yield
    hadoop.unset(option)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("s3a://bucket/checkpoint", "Class org.apache.hadoop.fs.s3a.S3AFileSystem not found"),
        ("nowhere://host/checkpoint", 'No FileSystem for scheme "nowhere"'),
        ("hdfs:///checkpoint", "Incomplete HDFS URI, no host"),
        ("hdfs://127.0.0.1:{port}/checkpoint", "Connection refused"),
        ("file://{events}/0.json/checkpoint", "/0.json"),
    ],
    ids=["no jar", "no such file system", "no host", "a service that is down", "a folder in a file"],
)
def test_a_checkpoint_that_cannot_be_used_is_one_line(
    spark: SparkSession, inputs: Path, address: str, cause: str
) -> None:
    checkpoint = address.format(port=free_port(), events=inputs)
    with pytest.raises(CheckpointError) as refused:
        run(spark, inputs, checkpoint, Totals())
    print(refused.value)
    assert cause in refused.value.problem.partition(f"checkpoint {checkpoint} cannot be used: ")[2]
    assert "jars of its file system" in refused.value.remedy


@dataclass(frozen=True)
class Known(Topic):
    """A topic that is always there."""

    def identity(self) -> dict[str, str]:
        return {}


@pytest.mark.usefixtures("impatient")
def test_a_checkpoint_that_is_away_leaves_a_failed_batch_to_the_next_attempt(spark: SparkSession) -> None:
    away = Checkpoint(spark, f"hdfs://127.0.0.1:{free_port()}/checkpoint")
    with pytest.raises(Py4JJavaError, match="Connection refused"):
        away.batches()
    source = Known(Settings(), "ads")
    refuse_what_cannot_go_on(SinkError("Cassandra is away", "start it"), source, away, last=True)
    runner = prepared()
    runner._spark, runner._settings, runner._pipeline = spark, Settings(), None
    runner._source, runner._checkpoint = source, away
    assert not runner._replayed(SimpleNamespace(written={0: None}, error=None))
    assert not runner._set_culprits_aside()


class Interrupted(Totals):
    """A sink that fails once, in the second batch. `then` happens before."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then
        self._batches = 0

    def _write(self, rows: DataFrame, stamp: Stamp) -> int:
        written = super()._write(rows, stamp)
        self._batches += 1
        if self._batches == 2:
            self._then()
            raise SinkError("the sink fails", "the next attempt succeeds")
        return written


def test_a_job_goes_on_when_the_folder_that_it_reads_comes_back(
    spark: SparkSession, inputs: Path, tmp_path: Path
) -> None:
    away, reasons = tmp_path / "away", []

    def failed(reason: str) -> None:
        reasons.append(reason)
        if len(reasons) == 2:
            away.rename(inputs)

    totals = Interrupted(lambda: inputs.rename(away))
    run(spark, inputs, tmp_path / "checkpoint", totals, failed)
    assert totals.clicks == {f"ad-{ad}": FILES for ad in range(ADS)}
    assert len(reasons) == 2
    assert "Path does not exist" in reasons[1]


def test_state_that_was_cut_short_is_refused(spark: SparkSession, inputs: Path, tmp_path: Path) -> None:
    """Each cut lies between two of Hadoop's checksummed pieces, so Hadoop does not notice it."""
    kept = tmp_path / "kept"
    with pytest.raises(BadInput):
        run(spark, inputs, kept, Totals(fails_at=2))
    newest = [file.relative_to(kept) for file in sorted(kept.glob("state/*/0/2.changelog"))]  # the ids, and the sums
    assert len(newest) == 2
    said = {}
    for file in newest:
        for size in range(0, (kept / file).stat().st_size, PIECE):
            checkpoint = tmp_path / f"{file.parts[1]}-{file.parts[2]}-{size}"
            shutil.copytree(kept, checkpoint)
            data = (checkpoint / file).read_bytes()
            (checkpoint / file).write_bytes(data[:size])
            try:
                run(spark, inputs, checkpoint, Totals())
            except Exception as refused:  # noqa: BLE001
                said[f"{file} {size}"] = f"{type(refused).__name__} {refused}"
            else:
                said[f"{file} {size}"] = "went on"
    print("\n".join(f"{where}: {what}" for where, what in said.items()))
    assert len(said) > len(newest)
    assert all(what.startswith(CheckpointError.__name__) for what in said.values()), said
