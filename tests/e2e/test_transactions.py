"""Topics with transactions or compaction: every reader sees the same messages, and no others."""

import json
import time
import urllib.request
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from adstream.backfill.request import Found, Listener, Request
from adstream.backfill.windows import Recount
from adstream.dashboard.tails import newest
from adstream.verify.ad_metrics import Verified, Wish, verify
from common.cassandra.session import connect
from common.errors import BadInput
from common.kafka import end_offsets
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, Settings
from common.system.running import running_jobs
from stack.checks.doctor_transactions import open_transactions
from streaming.history.archive import Archive, Archived
from streaming.jobs import find
from tests.e2e.commands import SECONDS, adstream
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import running_job
from tests.e2e.transactional import ALONE, COMPACTED, Writer

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
NOBODY = timedelta(0)
CLICKS = {"aborted": 100, "committed": 1, "open": 1_000}


def total_clicks(settings: Settings) -> int:
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        return int(session.execute("SELECT sum(total_clicks) FROM ad_metrics").one()[0])


def consumed(settings: Settings, level: str) -> list[dict[str, Any]]:
    done = adstream("consume", settings.topic.ads, "--to-end", "--json", ADSTREAM_KAFKA_ISOLATION_LEVEL=level)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ledger_of(found: Verified) -> tuple[int, int, int, int]:
    """Return the ledger's numbers: counted, not a message, unexplained, all."""
    ledger = found.ledger
    assert sum(ledger.all_fates.values()) + ledger.unexplained == ledger.offsets
    return ledger.fates["counted"], ledger.not_messages, ledger.unexplained, ledger.offsets


def with_compacted_keys(writer: Writer, count: int) -> int:
    """Send messages of a few keys, and wait until compaction has removed some. Return how many are left."""
    writer.configure(**{
        "cleanup.policy": "compact", "segment.ms": "2000", "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "1", "delete.retention.ms": "0",
    })  # fmt: skip
    for number in range(count):
        # The times of messages decide when Kafka closes a segment, and Kafka compacts only closed segments.
        writer.send(1, HOUR - number * SECOND, partition=COMPACTED, key=f"key-{number % 3}")
    end = time.monotonic() + SECONDS
    settings = writer.settings
    while _readable(settings) == count:
        assert time.monotonic() < end, "nothing was compacted"
        time.sleep(0.5)
    writer.configure(**{"cleanup.policy": "delete", "segment.ms": "604800000"})
    return _readable(settings)


def _readable(settings: Settings) -> int:
    return sum(1 for _ in newest(settings, settings.topic.ads, 10_000))


@pytest.mark.timeout(900)
def test_aborted_open_and_compacted_messages_are_seen_by_no_reader(
    spark: SparkSession, pipeline: Pipeline, tmp_path: Path
) -> None:
    settings, topic = pipeline.settings, pipeline.settings.topic.ads
    writer = Writer(settings)
    compacted = with_compacted_keys(writer, 30)
    gaps = end_offsets(settings, topic)[COMPACTED] - compacted
    assert gaps > 0
    with writer.transaction(10, CLICKS["aborted"], HOUR) as aborted:
        aborted.abort_transaction(SECONDS)
    with writer.transaction(10, CLICKS["committed"], HOUR) as committed:
        committed.commit_transaction(SECONDS)
    writer.await_decided()
    with writer.transaction(5, CLICKS["open"], HOUR) as still_open:
        behind = writer.send(7, HOUR)
        assert end_offsets(settings, topic)[ALONE] == 22
        assert end_offsets(settings, topic, READ_UNCOMMITTED)[ALONE] == 28

        said = pipeline.run(spark)
        [batch] = [line for line in said if line.startswith("batch ")]
        assert f"batch 0 · {compacted + 10} events in " in batch
        assert " · lag 6 (6 of it held back by open transactions)" in batch
        assert said[-1] == f"6 messages of {topic} are held back by open transactions: not counted yet"
        assert total_clicks(settings) == compacted + 10
        assert ledger_of(pipeline.verified()) == (compacted + 10, 12 + gaps, 0, compacted + gaps + 22)

        # An acknowledged event is in the topic, although nobody may read it yet.
        book = tmp_path / "acknowledged"
        book.write_text(f"{topic} {ALONE} {behind.offset()} {zlib.crc32(behind.value() or b''):08x}\n")
        places = verify(settings, pipeline.checkpoint, Wish(acknowledged=[book])).acknowledged
        assert places is not None
        assert (places.places, places.missing) == (1, 0)

        assert len(consumed(settings, READ_COMMITTED)) == compacted + 10
        assert len(consumed(settings, READ_UNCOMMITTED)) == compacted + 10 + 10 + 6
        archive = Archive(spark, str(tmp_path / "archive"))
        assert archive.extend(settings, topic) == Archived(0, compacted + 10)
        [finding] = [each for each in open_transactions(settings) if each.subject == f"topic {topic}"]
        assert finding.verdict == "WARN"
        assert f"partition {ALONE}: an open transaction holds back 6 messages from offset 22 on" in finding.detail

        still_open.commit_transaction(SECONDS)
    writer.await_decided()
    for _ in range(2):  # the second run uses the watermark of the first
        writer.send(0, MINUTE, partition=COMPACTED)
        said = pipeline.run(spark)
    assert not any("held back" in line for line in said)
    assert total_clicks(settings) == compacted + 10 + 5_000 + 7
    found = pipeline.verified()
    counted = compacted + 10 + 6 + 2
    assert ledger_of(found) == (counted, 13 + gaps, 0, counted + 13 + gaps)
    assert len(consumed(settings, READ_COMMITTED)) == counted
    assert archive.extend(settings, topic) == Archived(compacted + 10, 8)
    assert archive.extend(settings, topic) == Archived(counted, 0)
    assert archive.rows().count() == counted
    assert [each.verdict for each in open_transactions(settings) if each.subject == f"topic {topic}"] == ["OK"]

    for place in (None, archive.folder):
        again = recounted(spark, pipeline, writer, place)
        assert again.comparison.differences == []
        assert again.comparison.rows > 6
        assert again.events == counted - 2
    of_all = Archive(spark, str(tmp_path / "all"))
    assert of_all.extend(settings.reading(READ_UNCOMMITTED), topic).written == counted + 10
    with pytest.raises(BadInput, match="archived as read_uncommitted, but the job reads as read_committed"):
        recounted(spark, pipeline, writer, of_all.folder)
    next(Path(archive.folder).glob("day=*/*.parquet")).unlink()
    with pytest.raises(BadInput, match=r"has [\d,]+ messages of partition \d where [\d,]+ belong"):
        recounted(spark, pipeline, writer, archive.folder)


def recounted(spark: SparkSession, pipeline: Pipeline, writer: Writer, archive: str | None) -> Found:
    request = Request(writer.now - 2 * HOUR, writer.now - HOUR / 2, archive=archive)
    return Recount(
        spark, pipeline.settings, find("ad-metrics"), str(pipeline.checkpoint), request,
        now=datetime.now(UTC), listener=Listener(lambda _line: None),
    ).compare()  # fmt: skip


@pytest.mark.timeout(900)
def test_an_open_transaction_is_seen_while_the_job_runs_and_counts_when_it_is_committed(pipeline: Pipeline) -> None:
    settings, topic = pipeline.settings, pipeline.settings.topic.ads
    writer = Writer(settings)
    with running_job(pipeline, trigger="200ms") as job:
        job.await_line("reading from")
        with writer.transaction(10, CLICKS["committed"], MINUTE) as committed:
            committed.commit_transaction(SECONDS)
        job.await_events(10)
        with writer.transaction(5, CLICKS["open"], MINUTE) as still_open:
            writer.send(7, MINUTE)
            # Nothing is readable, so no batch runs. Yet the job's metrics show the events.
            await_metric("adstream_held_back_events", 6, settings)
            await_metric("adstream_lag_events", 6, settings)
            assert "held back" not in verified_by_command(pipeline)["problems"]
            assert verified_by_command(pipeline)["ledger"]["fates"]["counted"] == 10
            writer.send(1, MINUTE, partition=COMPACTED)
            job.await_line(r" 1 events in .* · lag 6 \(6 of it held back by open transactions\)")
            shown = adstream("consume", topic, "--to-end")
            assert len(shown.stdout.splitlines()) == 11
            assert shown.stderr == f"6 messages of {topic} are held back by open transactions\n"
            still_open.commit_transaction(SECONDS)
        job.await_events(10 + 1 + 6)
        await_metric("adstream_held_back_events", 0, settings)
        with writer.transaction(3, CLICKS["aborted"], MINUTE) as aborted:
            aborted.abort_transaction(SECONDS)
        live = verified_by_command(pipeline)
        assert live["ledger"]["fates"]["counted"] == 17
        code, said, errors = job.end()
        assert code == 0, errors
        assert "ALARM" not in said
    after = pipeline.verified()
    assert ledger_of(after)[:3] in ((17, 2, 0), (17, 6, 0))  # the aborted events may have been in a batch of their own
    assert total_clicks(settings) == 10 + 5_000 + 7 + 1


def verified_by_command(pipeline: Pipeline) -> dict[str, Any]:
    done = adstream("verify", "ad-metrics", "--checkpoint", pipeline.checkpoint, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    fates, offsets = told["ledger"]["fates"], told["ledger"]["offsets"]
    assert (sum(fates.values()), told["ledger"]["unexplained"]) == (offsets, 0)
    return told


def await_metric(name: str, value: int, settings: Settings) -> None:
    """Wait until the sum of this metric over the partitions has this value."""
    end = time.monotonic() + SECONDS
    [running] = running_jobs(settings)
    while True:
        with urllib.request.urlopen(f"{running.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))
        if found == value:
            return
        assert time.monotonic() < end, (name, found)
        time.sleep(0.2)


def test_who_asks_for_it_reads_all_and_a_checkpoint_keeps_its_level(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(pipeline.settings)
    with writer.transaction(10, CLICKS["aborted"], MINUTE) as aborted:
        aborted.abort_transaction(SECONDS)
    with writer.transaction(10, CLICKS["committed"], MINUTE) as committed:
        committed.commit_transaction(SECONDS)
    writer.await_decided()
    with writer.transaction(5, CLICKS["open"], MINUTE):
        monkeypatch.setenv("ADSTREAM_KAFKA_ISOLATION_LEVEL", READ_UNCOMMITTED)
        [batch] = [line for line in pipeline.run(spark) if line.startswith("batch ")]
        assert batch.startswith("batch 0 · 25 events in ")
        assert "held back" not in batch
        monkeypatch.delenv("ADSTREAM_KAFKA_ISOLATION_LEVEL")
        # Verify exactly the messages that the checkpoint has counted.
        assert ledger_of(pipeline.verified()) == (25, 2, 0, 27)

        # Change the file to an earlier release's form.
        file = pipeline.checkpoint / "adstream.json"
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "isolation_level"}))
        (pipeline.checkpoint / ".adstream.json.crc").unlink()
        writer.send(1, MINUTE)
        said = pipeline.run(spark)
        assert "isolation_level=read_uncommitted, as the checkpoint was made with; the setting is for new ones" in said
        assert any(line.startswith("batch 1 · 1 events in ") for line in said)
        assert ledger_of(pipeline.verified()) == (26, 2, 0, 28)
    assert total_clicks(pipeline.settings) == 10 * 100 + 10 * 1 + 5 * 1_000 + 1
