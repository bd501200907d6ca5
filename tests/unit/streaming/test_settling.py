"""Batches of a real-time query after their commit: they count as progress, and each message keeps its fate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from common import kafka
from common.contracts import Contract
from common.errors import CheckpointError, JobFailed, ServiceUnavailable, SinkError
from common.reasons import EMPTY, UNKNOWN_SCHEMA_ID
from common.settings import Settings
from streaming.jobs import find
from streaming.lateness.counts import Late
from streaming.micro_batch.pipeline import Pipeline
from streaming.monitoring.listener import Listener
from streaming.query.failures import ATTEMPTS
from streaming.query.runner import Runner
from streaming.real_time.runner import RealTimeRunner
from streaming.real_time.settling import Settling
from streaming.real_time.starts import Starts
from streaming.recovery.checkpoint import Checkpoint
from streaming.sinks.sink import Stamp
from tests.unit.streaming.wire_messages import ID_V2, NOW, V1, V2, encoded, framed, kafka_rows
from tests.unit.test_runner_failures import Impatient

JOB = find("ad-metrics")
# Somebody registers a schema under this id, or its subject is another one's.
OTHER_ID = 9
# The offsets of the batch's messages.
GOOD, LATE, BROKEN, OTHER, OTHER_AND_LATE = range(5)


def folder_with_commits(checkpoint: Path, last: int) -> None:
    """Make the files that Spark writes for the batches 0 to `last`."""
    for folder in ("offsets", "commits"):
        (checkpoint / folder).mkdir(exist_ok=True)
        for number in range(last + 1):
            (checkpoint / folder / str(number)).write_text("v1", encoding="utf-8")


@dataclass
class Fates:
    """The dead letters of some batches, and their late events. It takes the late ones as LateBatches does."""

    dead: list[tuple[int, str]] = field(default_factory=list)
    late: dict[int, int] = field(default_factory=dict)

    def publish(self, dead: DataFrame) -> None:
        self.dead += [(row["offset"], row["outcome"]) for row in dead.orderBy("offset").collect()]

    def write(self, batch_id: int, late: Late, _stamp: Stamp) -> None:
        self.late[batch_id] = late.events


def settling_of(
    checkpoint: Checkpoint, schemas: Mapping[int, Contract], fates: Any, messages: DataFrame | None
) -> Settling:
    return Settling(
        JOB,
        checkpoint,
        fates,
        pipeline=Pipeline(JOB, schemas, json=JOB.json),
        messages_again=lambda _batch_id: messages,
        publish=fates.publish,
        timestamps=lambda: 1,
        ends=dict,
    )


@pytest.fixture
def batch(spark: SparkSession) -> DataFrame:
    """A batch with each fate, and two messages whose schema has the other id."""
    event = {"ad_id": "ad_1", "timestamp": NOW, "clicks": 1, "views": 4, "cost": 0.5}
    late = NOW - timedelta(hours=1)
    values = [
        encoded(), encoded(timestamp=late), b"", framed(V1, OTHER_ID, event),
        framed(V1, OTHER_ID, event | {"timestamp": late}),
    ]  # fmt: skip
    return kafka_rows(spark, values)


# The schemas with which a query judges the other id's messages, or does not.
PLANS = {"planned": {ID_V2: V2, OTHER_ID: V1}, "not planned": {ID_V2: V2}}


@pytest.mark.parametrize(("then", "now"), list(product(PLANS, PLANS)))
def test_a_batch_is_settled_by_the_schemas_of_the_plan_that_has_computed_it(
    spark: SparkSession, batch: DataFrame, tmp_path: Path, then: str, now: str
) -> None:
    """Its driver was killed between commit and settling. Then a schema was registered, or the next plan lacks one."""
    checkpoint = Checkpoint(spark, str(tmp_path))
    Starts(checkpoint).note(PLANS[now])  # the start before
    assert Starts(checkpoint).note(PLANS[then]) == 1
    folder_with_commits(tmp_path, 3)
    checkpoint.mark("settled", 1)
    fates = Fates()
    settling_of(checkpoint, PLANS[now], fates, batch).catch_up()
    unknown = [] if then == "planned" else [(OTHER, UNKNOWN_SCHEMA_ID), (OTHER_AND_LATE, UNKNOWN_SCHEMA_ID)]
    assert fates.dead == 2 * [(BROKEN, EMPTY), *unknown]
    late = 2 if then == "planned" else 1
    assert fates.late == {2: late, 3: late}
    assert checkpoint.marked("settled") == 3


@pytest.mark.parametrize("notes", [[], ["1772366400000000"]], ids=["no start", "a start of an earlier release"])
def test_without_noted_schemas_the_present_plan_judges(
    spark: SparkSession, batch: DataFrame, tmp_path: Path, notes: list[str]
) -> None:
    checkpoint = Checkpoint(spark, str(tmp_path))
    for text in notes:
        checkpoint.note("starts", text)
    folder_with_commits(tmp_path, 0)
    fates = Fates()
    settling_of(checkpoint, PLANS["planned"], fates, batch).catch_up()
    assert (fates.dead, fates.late) == ([(BROKEN, EMPTY)], {0: 2})
    assert Starts(checkpoint).note(PLANS["planned"]) == len(notes)
    assert Starts(checkpoint).schemas() == PLANS["planned"]


@pytest.mark.parametrize("text", ["{", '{"schemas": 1}', '{"schemas": {"9": 1}}', '{"schemas": {"x": ["a", 1, "b"]}}'])
def test_a_damaged_note_of_a_start_is_told(spark: SparkSession, tmp_path: Path, text: str) -> None:
    checkpoint = Checkpoint(spark, str(tmp_path))
    checkpoint.note("starts", text)
    with pytest.raises(CheckpointError, match="is damaged: the newest note in starts names no schemas"):
        Starts(checkpoint).schemas()


@pytest.mark.parametrize("away", ["Kafka", "Cassandra"])
def test_a_service_that_is_away_while_an_earlier_batch_is_settled_is_asked_again(
    spark: SparkSession, batch: DataFrame, tmp_path: Path, away: str
) -> None:
    def refuse(*_given: Any) -> None:
        raise PySparkException("it refuses a letter") if away == "Kafka" else SinkError("no node answers", "start one")

    folder_with_commits(tmp_path, 0)
    fates: Any = Fates()
    setattr(fates, "publish" if away == "Kafka" else "write", refuse)
    runner: Any = RealTimeRunner.__new__(RealTimeRunner)
    runner._require_unsettled_messages = lambda: None
    runner._settings, runner._job, runner._checkpoint = Settings(), JOB, Checkpoint(spark, str(tmp_path))
    runner._pipeline, runner._late, runner._publish = (
        Pipeline(JOB, PLANS["planned"], json=JOB.json),
        fates,
        fates.publish,
    )
    runner._messages_again, runner._timestamps = lambda _batch_id: batch, lambda: 1
    with pytest.raises(ServiceUnavailable) as told:
        runner._settled()
    log = runner._settings.data_dir.absolute() / "logs" / "ad-metrics.log"
    said = {"Kafka": f"could not be settled: it refuses a letter; see {log}", "Cassandra": "no node answers; start one"}
    assert str(told.value).endswith(said[away])
    assert runner._checkpoint.marked("settled") is None


@pytest.mark.parametrize(("begin", "gone"), [(20, None), (21, 2), (9, None), (40, 2)])
def test_a_batch_whose_messages_are_gone_cannot_be_settled(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: int, gone: int | None
) -> None:
    folder_with_commits(tmp_path, 3)
    for number, end in enumerate([10, 20, 30, 30]):
        (tmp_path / "offsets" / str(number)).write_text(f'v1\n{{}}\n{{"ads":{{"0":{end}}}}}', encoding="utf-8")
    runner: Any = RealTimeRunner.__new__(RealTimeRunner)
    runner._settings, runner._checkpoint = Settings(), Checkpoint(spark, str(tmp_path))
    runner._source = type("Source", (), {"name": "ads"})()
    runner._checkpoint.mark("settled", 1)
    monkeypatch.setattr(kafka, "begin_offsets", lambda _settings, _topic: {0: begin})
    if gone is None:
        runner._require_unsettled_messages()
        return
    with pytest.raises(CheckpointError, match=rf"dead letters of batch {gone}, .*adstream reset"):
        runner._require_unsettled_messages()


class Running:
    """A query that runs until it is stopped."""

    def awaitTermination(self, _seconds: float) -> bool:  # noqa: N802 - PySpark's name
        return False

    def exception(self) -> None:
        return None

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("commits", [True, False], ids=["a commit before each error", "no commit"])
def test_errors_end_a_real_time_job_only_without_a_commit_between_them(
    spark: SparkSession, tmp_path: Path, commits: bool
) -> None:
    folder_with_commits(tmp_path, 2)
    checkpoint = Checkpoint(spark, str(tmp_path))
    runner: Any = RealTimeRunner.__new__(RealTimeRunner)
    runner._stopping, runner._checkpoint, runner._job, runner._log = Impatient(), checkpoint, JOB, None
    runner._listener = Listener(batch=lambda _report: None, notice=lambda _line: None)
    runner._source = type("Source", (), {"name": "ads"})()
    runner._options = type("Options", (), {"checkpoint": str(tmp_path), "once": False})()
    runner._held_back = None
    starts = 0

    def start() -> tuple[Settling, Running]:
        nonlocal starts
        starts += 1
        if starts > 2 * ATTEMPTS:
            runner._stopping.set()
        runner._settling = settling_of(checkpoint, {}, Fates(), None)
        runner._settling.catch_up()
        return runner._settling, Running()

    def polled(_query: Running) -> None:
        if commits:
            folder_with_commits(tmp_path, 2 + starts)
        raise ServiceUnavailable("Kafka is away", "start it")

    runner._start, runner._polled = start, polled
    if commits:
        Runner._run(runner)
        assert starts > ATTEMPTS
    else:
        with pytest.raises(JobFailed, match=f"failed {ATTEMPTS} times on the same batch"):
            Runner._run(runner)
