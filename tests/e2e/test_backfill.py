"""Backfills on real services. The topic takes the producer's times, so a test can send hours of events at once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from adstream.backfill.request import Found, Listener, Request
from adstream.backfill.windows import Recount
from benchmarks.pipeline import configure
from common import contracts
from common.cassandra.session import connect
from common.errors import BadInput, CheckpointError
from common.kafka import begin_offsets, end_offsets
from common.registry import RegistryClient
from producer.encoding import Encoder
from streaming.history.archive import Archive
from streaming.jobs import find
from streaming.monitoring.listener import Listener as RunListener
from streaming.query.options import Options
from streaming.query.runner import Runner
from tests.e2e.commands import SECONDS, adstream, delete_before, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import real_time_job
from tests.e2e.running_job import running_job

MINUTE = timedelta(minutes=1)
JOB = find("ad-metrics")
PER_BATCH = 300


@dataclass
class Past:
    """A pipeline whose topic has events of the last two hours. An event's broker time is its arrival."""

    spark: SparkSession
    pipeline: Pipeline
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        settings = self.pipeline.settings
        settings.spark = settings.spark.model_copy(update={"max_events_per_batch": PER_BATCH})
        configure(settings, settings.topic.ads, {"message.timestamp.type": "CreateTime"})
        newest = RegistryClient(settings.registry).latest(f"{settings.topic.ads}-value")
        self._encode = Encoder(newest, contracts.latest("ads_data"))
        self._producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})

    def send(self, ad: int, ago: timedelta, arrived: timedelta, **event: Any) -> None:
        """Produce one event that happened and arrived at these ages. `flush` sends it."""
        time, broker_time = (round((self.now - each).timestamp() * 1_000) for each in (ago, arrived))
        value = {
            "ad_id": f"ad-{ad}",
            "timestamp": time,
            "clicks": 1,
            "views": 3,
            "cost": 0.25,
            "event_id": None,
        } | event
        topic = self.pipeline.settings.topic.ads
        self._producer.produce(topic, self._encode(value), value["ad_id"].encode(), timestamp=broker_time)

    def flush(self) -> None:
        assert self._producer.flush(SECONDS) == 0

    def two_hours(self) -> None:
        """Send 1,800 events of the last two hours in order. One in ten comes twice, and one in nine has no id."""
        for number in range(1_800):
            ago = (1_800 - number) * timedelta(seconds=4)
            event_id = None if number % 9 == 0 else f"id-{number}"
            for _ in range(2 if number % 10 == 0 else 1):
                self.send(number % 7, ago, ago - timedelta(seconds=2), event_id=event_id, views=number % 4)
        self.flush()

    def stream(self) -> None:
        """Run the job in this process over all messages, in several batches, so that its watermark moves."""
        options = Options(JOB.trigger, once=True, checkpoint=str(self.pipeline.checkpoint))
        listener = RunListener(batch=lambda _report: None, notice=lambda _line: None)
        runner = Runner(self.spark, self.pipeline.settings, JOB, options, listener=listener, stopping=threading.Event())
        runner.run()

    def recount(self, **request: Any) -> Recount:
        asked = Request(self.now - 120 * MINUTE, self.now, **request)
        return Recount(
            self.spark,
            self.pipeline.settings,
            JOB,
            str(self.pipeline.checkpoint),
            asked,
            now=datetime.now(UTC),
            listener=Listener(lambda _line: None),
        )

    def compared(self, **request: Any) -> Found:
        return self.recount(**request).compare()

    def command(self, *arguments: str) -> tuple[str, ...]:
        start = f"{self.now - 120 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
        return "backfill", "ad-metrics", "--from", start, "--checkpoint", str(self.pipeline.checkpoint), *arguments

    def execute(self, *statements: str) -> None:
        settings = self.pipeline.settings.cassandra
        with connect(settings, keyspace=settings.keyspace) as session:
            for statement in statements:
                session.execute(statement)

    def rows(self) -> dict[Any, Any]:
        settings = self.pipeline.settings.cassandra
        with connect(settings, keyspace=settings.keyspace) as session:
            found = session.execute("SELECT * FROM ad_metrics_by_window")
            return {(row.ad_id, row.window_start): row._replace(last_updated=None) for row in found}

    def damage(self) -> None:
        """Make one cell wrong, and delete one row."""
        ages = {key: self.now - key[1].replace(tzinfo=UTC) for key in self.rows()}
        old = sorted(key for key, age in ages.items() if 60 * MINUTE < age < 110 * MINUTE)
        (ad, first), (other, second) = old[0], old[-1]
        of = "WHERE ad_id = '{}' AND day = '{:%Y-%m-%d}' AND window_start = '{:%Y-%m-%dT%H:%M:%SZ}'"
        self.execute(
            f"UPDATE ad_metrics_by_window SET total_clicks = 4711 {of.format(ad, first, first)}",
            f"DELETE FROM ad_metrics_by_window {of.format(other, second, second)}",
        )


@pytest.fixture
def past(spark: SparkSession, pipeline: Pipeline) -> Iterator[Past]:
    yield Past(spark, pipeline)
    spark.catalog.clearCache()


@pytest.mark.thorough
def test_differences_are_found_and_corrected_and_there_are_none_without_damage(past: Past) -> None:
    past.two_hours()
    with pytest.raises(CheckpointError, match="is not a checkpoint of ours"):
        past.recount()
    past.stream()
    found = past.compared()
    assert found.comparison.differences == []
    assert found.comparison.rows > 1_000
    assert found.open > 40
    assert past.compared(late=True).late == {}

    past.damage()
    said = adstream(*past.command())
    assert "2 differences in" in one_line(said)
    assert "clicks is 4711, must be" in said.stdout
    assert ": missing" in said.stdout
    assert "are left out: they are open still" in said.stdout

    assert "nobody is there to say yes" in one_line(adstream(*past.command("--correct")))
    said = adstream(*past.command("--correct", "--yes"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "corrected: 2 of" in said.stdout.splitlines()[-1]
    assert f"in {past.pipeline.settings.cassandra.where}" in said.stdout
    assert past.pipeline.verified().fates["late"] == 0


def test_what_cannot_be_asked_for_is_refused_in_one_line(past: Past) -> None:
    assert "there is no backfill for ad-clicks" in one_line(adstream("backfill", "ad-clicks", "--from", "1h"))
    line = one_line(adstream("backfill", "ad-metrics", "--from", "1h", "--to", "2h"))
    assert "--from 1h is not before --to 2h" in line
    assert "--from soon is not a time" in one_line(adstream("backfill", "ad-metrics", "--from", "soon"))


@pytest.mark.thorough
def test_late_events_and_replayed_dead_letters_are_counted_while_the_job_runs(past: Past) -> None:
    pipeline = past.pipeline
    past.two_hours()
    past.send(1, 60 * MINUTE, 0 * MINUTE, clicks=-1, event_id="repaired")
    past.flush()
    count = 1_800 + 180 + 1
    with running_job(pipeline, trigger="1s", most_events=PER_BATCH) as job:
        job.await_events(count)
        replayed = adstream("dead-letters", "replay", "--reason", "clicks_negative", "--set", "clicks=5", "--yes")
        assert "1 of them will be late" in replayed.stdout
        for number in [*range(30), *range(10)]:
            past.send(number % 7, 50 * MINUTE + number * MINUTE / 4, 0 * MINUTE, event_id=f"late-{number}")
        past.send(0, timedelta(seconds=7_200 - 20 * 4), 0 * MINUTE, event_id="id-20")  # the original counted in time
        past.flush()
        job.await_events(count + 42)
        _await_idle(past)

        said = adstream(*past.command("--late", "--correct", "--yes"))
        assert said.returncode == 0, said.stdout + said.stderr
        assert "in all: 31 events, 35 clicks" in said.stdout
        assert "rebuild these: `adstream reset ad-metrics`" in said.stdout
        assert past.compared().comparison.different == 0  # without --late, verify keeps the job's counts
        assert pipeline.verified().backfilled == 31

        for number in range(60):
            past.send(number % 7, MINUTE, 0 * MINUTE, event_id=f"new-{number}")
        past.flush()
        past.send(2, 55 * MINUTE, 0 * MINUTE, event_id="later")  # it comes after the backfill: late, and not counted
        past.flush()
        job.await_events(count + 42 + 61)
        job.kill()
    verified = adstream("verify", "ad-metrics", "--checkpoint", str(pipeline.checkpoint))
    assert "31 of the late ones were counted in their windows by a backfill" in verified.stdout

    # As after a crash between write and commit: first comes a correction, then the job writes its last batch again.
    commits = pipeline.checkpoint / "commits"
    last = max(int(file.name) for file in commits.glob("*") if file.name.isdigit())
    for name in (f"{last}", f".{last}.crc"):
        (commits / name).unlink(missing_ok=True)
    past.damage()
    again = past.recount()
    again.compare()
    written, left = again.correct(lambda: datetime.now(UTC))
    assert (written, left.different) == (2, 0)
    past.stream()
    found = pipeline.verified()
    assert found.fates == {"counted": 1_880, "duplicate": 160, "late": 43, "dead": 1}
    assert found.backfilled == 31


def _await_idle(past: Past) -> None:
    """Wait until the job has committed the topic's end: it prints a batch before the commit is readable."""
    from streaming.recovery.checkpoint import Checkpoint

    kept = Checkpoint(past.spark, str(past.pipeline.checkpoint))
    topic = past.pipeline.settings.topic.ads
    done = threading.Event()
    for _ in range(600):
        offsets = kept.batch_offsets(topic, kept.last_committed())
        if {partition: end for partition, (_, end) in offsets.items()} == end_offsets(past.pipeline.settings, topic):
            return
        done.wait(0.1)
    raise AssertionError("the job does not commit what there is")


def test_a_folder_that_cannot_be_used_is_one_line(pipeline: Pipeline, tmp_path: Path) -> None:
    file, topic = tmp_path / "file", pipeline.settings.topic.ads
    file.touch()
    for folder, cause in {str(file / "archive"): str(file), "s3a://bucket/archive": "S3AFileSystem not found"}.items():
        said = one_line(adstream("archive", topic, folder))
        assert cause in said.partition(f"error: archive {folder} cannot be used: ")[2]
    checkpoint = "s3a://bucket/checkpoint"
    said = one_line(adstream("backfill", "ad-metrics", "--from", "3h", "--checkpoint", checkpoint))
    assert "S3AFileSystem not found" in said.partition(f"error: checkpoint {checkpoint} cannot be used: ")[2]


def test_a_folder_that_fails_while_the_archive_is_written_is_one_line(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.produce("--count", "10")
    folder, today = tmp_path / "archive", datetime.now(UTC)
    folder.mkdir()
    for day in (today, today + timedelta(days=1)):
        (folder / f"day={day:%Y-%m-%d}").touch()  # a file in place of the folder
    said = one_line(adstream("archive", pipeline.settings.topic.ads, folder))
    assert said.startswith(f"error: archiving {pipeline.settings.topic.ads} failed: ")
    assert said.endswith("and run it again")


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("real_time", [False, True], ids=["micro_batch", "real_time"])
def test_an_id_that_comes_again_with_another_time_counts_as_in_the_job(past: Past, *, real_time: bool) -> None:
    for number in range(1_800):
        ago = (1_800 - number) * timedelta(seconds=4)
        past.send(number % 7, ago, ago - timedelta(seconds=2), event_id=f"id-{number}")
        if number % 10 == 0:
            past.send(number % 7, ago, ago - timedelta(seconds=2), event_id=f"id-{number - 70}")
    past.flush()
    if real_time:
        with real_time_job(past.pipeline) as job:
            job.await_events(1_980)
            past.send(0, MINUTE, 0 * MINUTE, event_id="newest")  # its batch has the watermark of all others
            past.flush()
            job.await_events(1_981)
            assert job.end()[0] == 0
    else:
        past.stream()
    assert past.pipeline.verified().fates["duplicate"] == (0 if real_time else 173)
    found = past.compared()
    assert found.comparison.differences == []
    assert found.comparison.rows > 1_000


@pytest.mark.thorough
def test_what_has_aged_out_is_computed_from_an_archive(past: Past, tmp_path: Path) -> None:
    settings, topic = past.pipeline.settings, past.pipeline.settings.topic.ads
    past.two_hours()
    past.send(3, 70 * MINUTE, 0 * MINUTE, event_id="late")
    past.flush()
    past.stream()
    folder = tmp_path / "archive"
    with pytest.raises(BadInput, match="there is no archive in"):
        past.recount(archive=str(folder))
    assert "1,981 messages added" in adstream("archive", topic, folder).stdout.splitlines()[-1]
    archive = Archive(past.spark, str(folder))
    assert archive.extend(settings, topic).written == 0
    assert {each.name for each in folder.glob("day=*")} == {
        f"day={past.now - ago:%Y-%m-%d}" for ago in (120 * MINUTE, 0 * MINUTE)
    }
    past.send(3, 0 * MINUTE, 0 * MINUTE, event_id="newest")
    past.flush()
    assert archive.extend(settings, topic).written == 1
    kept = {(row["partition"], row["offset"]): bytes(row["value"]) for row in archive.rows().collect()}
    assert archive.rows().count() == 1_982
    assert kept == {(each.partition(), each.offset()): each.value() for each in past.pipeline.messages()}

    before = past.rows()
    past.damage()
    half = {each: end // 2 for each, end in end_offsets(settings, topic).items()}
    delete_before(settings, topic, half)
    assert begin_offsets(settings, topic) == half
    with pytest.raises(BadInput, match=r"has aged out: messages from .*, but partition 0 holds offsets .* from 20"):
        past.recount()
    ends = end_offsets(settings, topic)
    delete_before(settings, topic, ends)
    with pytest.raises(BadInput, match="holds nothing any more"):
        past.recount()

    said = adstream(*past.command("--archive", str(folder), "--correct", "--yes"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "corrected: 2 of" in said.stdout.splitlines()[-1]
    assert past.rows() == before
    assert [each.events for each in past.compared(archive=str(folder), late=True).late.values()] == [1]

    for _ in range(3):
        past.send(3, 0 * MINUTE, 0 * MINUTE)
    past.flush()
    delete_before(settings, topic, end_offsets(settings, topic))
    with pytest.raises(BadInput, match=r"^3 messages have left Kafka since .* and are in neither"):
        archive.extend(settings, topic)
    with pytest.raises(BadInput, match="is an archive of topic"):
        archive.require("another", "another id", settings.kafka.isolation_level)

    max(folder.glob("day=*/*.parquet"), key=lambda file: file.stat().st_size).unlink()
    with pytest.raises(BadInput, match=r"has aged out|where [\d,]+ belong|are needed"):
        past.recount(archive=str(folder))
