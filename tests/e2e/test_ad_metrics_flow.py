"""The whole flow on real services: producer, Kafka, Spark, Cassandra, compared cell by cell with the oracle."""

import json
import random
import re
import signal
import time
import urllib.request
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql import SparkSession

from common import contracts
from common.cassandra.session import connect
from common.errors import CheckpointError, MigrationError
from common.registry import RegistryClient
from common.system.running import running_jobs
from common.text.shown import shown
from producer.broken import KINDS
from producer.encoding import Encoder
from streaming.jobs import find
from tests.e2e.commands import MIX, adstream, limit_messages, one_line, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import running_here, running_job
from tests.property.hostile import harmless, hostile, shows

SECONDS = 180
# Markup, short codes, escape sequences, and invisible, wide and joined characters.
HOSTILE = (
    "[/x]", "[bold]ad[/bold] :smile:", "\x1b[31mred\x1b[0m", "\x1b]8;;https://example.org\x07ad\x1b]8;;\x07",
    "a\nb\r\tc\bd", "\u202eda\u200b\u2028x\U000e0041", "\x9b2J\x00\x7f", "广告👩‍👩‍👧e\u0301",
)  # fmt: skip
DEAD = "adstream_dead_letters_total reason="
REASONS = {
    "empty", "short", "wrong_magic_byte", "unknown_schema_id", "undecodable", "trailing_bytes", "ad_id_empty",
    "clicks_negative", "views_negative", "cost_negative", "cost_not_finite", "timestamp_ahead",
}  # fmt: skip


def ask_the_running_job(pipeline: Pipeline) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the running job's metrics, by name and further label, and its progress.

    Finds the job as the dashboard does.
    """
    [running] = running_jobs(pipeline.settings)
    for path in ("health", "ready"):
        with urllib.request.urlopen(f"{running.url}/{path}", timeout=30) as answer:
            assert answer.read() == b"ok\n"
    with urllib.request.urlopen(f"{running.url}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    with urllib.request.urlopen(f"{running.url}/progress", timeout=30) as answer:
        told = json.load(answer)
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        further = [f" {label}={value}" for label, value in sample.labels.items() if label != "job"]
        found["".join([sample.name, *further])] = sample.value
    return found, told


def test_every_event_is_counted_once_or_late_or_a_dead_letter(
    spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_SPARK_COUNT_STATE_ROWS", "true")
    said = pipeline.produce("--count", "8000", "--over", "4m", *MIX)
    kinds = {kind: int(number.replace(",", "")) for number, kind in re.findall(r"([\d,]+) ([a-z_]+)(?:,|$)", said)}
    with running_job(pipeline, trigger="1s", most_events=3_000) as job:
        job.await_events(8000)
        metrics, told = ask_the_running_job(pipeline)
        code, lines, errors = job.end()
        assert code == 0, errors
        assert "stopping after the running batch" in lines
    assert running_jobs(pipeline.settings) == []
    found = pipeline.verified()
    # A repetition of a late event is late again, not a duplicate.
    assert found.fates["late"] + found.fates["duplicate"] == kinds["late"] + kinds["duplicate"]
    assert found.fates["duplicate"] > 0.5 * kinds["duplicate"]
    assert found.fates["dead"] == sum(kinds.get(kind, 0) for kind in KINDS)
    assert sum(found.fates.values()) == 8000
    messages = {(m.partition(), m.offset()): m for m in pipeline.messages()}
    letters = {}
    for letter in pipeline.dead_letters():
        headers = {name: value.decode() for name, value in letter.headers() or []}
        place = int(headers["adstream.partition"]), int(headers["adstream.offset"])
        assert headers["adstream.topic"] == pipeline.settings.topic.ads
        original = messages[place]
        assert (letter.value(), letter.key()) == (original.value(), original.key())
        letters[place] = headers["adstream.reason"]
    assert len(letters) == found.fates["dead"]
    assert set(letters.values()) >= REASONS

    # The metrics of the running job must equal the ledger, the dead-letter topic, the tables and the job's lines.
    assert metrics["adstream_events_total"] == 8000
    assert metrics["adstream_late_events_total"] == found.fates["late"]
    assert metrics["adstream_duplicate_events_total"] == found.fates["duplicate"]
    by_reason = {name.partition("=")[2]: count for name, count in metrics.items() if name.startswith(DEAD)}
    assert by_reason == Counter(letters.values())
    assert metrics["adstream_sink_rows_total"] >= found.comparison.rows
    assert [metrics[f"adstream_lag_events partition={partition}"] for partition in (0, 1)] == [0, 0]
    assert (metrics["adstream_up"], metrics["adstream_ready"], metrics["adstream_restarts_total"]) == (1, 1, 0)
    assert min(size for name, size in metrics.items() if name.startswith("adstream_state_bytes ")) > 0
    # Nothing is old enough to be evicted: the state has each window, total and id.
    assert told["batches"][-1]["state_rows"] == found.comparison.rows + found.fates["counted"]
    batches = re.findall(
        r"^batch (\d+) · ([\d,]+) events in .* · ([\d,]+) rows written · lag ([\d,]+)", lines, re.MULTILINE
    )
    figures = [(each["batch_id"], each["events"], each["rows"], each["lag"]) for each in told["batches"]]
    assert [tuple(int(part.replace(",", "")) for part in batch) for batch in batches] == figures
    assert len(figures) > 1
    ends = Counter(partition for partition, _ in messages)
    assert {int(partition): each["end"] for partition, each in told["partitions"].items()} == ends
    assert (told["job"], told["source"], told["ready"]) == ("ad-metrics", pipeline.settings.topic.ads, True)

    again = pipeline.run(spark)
    assert not any(line.startswith("batch") for line in again)
    assert pipeline.verified().fates == found.fates


def test_the_sum_over_windows_is_twice_the_total(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--count", "2000", "--over", "3m", "--ads", "5")
    pipeline.run(spark)
    pipeline.verified()
    settings = pipeline.settings.cassandra
    with connect(settings, keyspace=settings.keyspace) as session:
        windows = session.execute("SELECT sum(total_views), sum(total_cost) FROM ad_metrics_by_window").one()
        totals = session.execute("SELECT sum(total_views), sum(total_cost) FROM ad_metrics").one()
    assert totals[0] > 0
    assert tuple(windows) == (2 * totals[0], 2 * totals[1])


def test_stopped_in_the_middle_and_started_again_it_equals_the_oracle(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--count", "3000", "--over", "3m", *MIX)
    with started("produce", "ads", "--rate", "400", *MIX) as producer:
        with running_here(spark, pipeline, trigger=timedelta(seconds=1)) as job:
            job.await_line("^batch 2 ")
            assert "stopping after the running batch" in job.end()
        producer.send_signal(signal.SIGINT)
        assert producer.wait(timeout=SECONDS) == 0
    before = pipeline.verified()
    pipeline.run(spark)
    after = pipeline.verified()
    assert sum(after.fates.values()) == len(pipeline.messages())
    assert sum(after.fates.values()) > sum(before.fates.values()) > 3000


def test_a_batch_that_cannot_be_written_is_retried_and_then_stops_the_job_in_one_line(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    pipeline.produce("--count", "300", "--over", "1m", "--ads", "3")
    pipeline.run(spark)
    pipeline.produce("--count", "300", "--over", "1m", "--ads", "3", "--broken", "0.5")
    limit_messages(pipeline.settings, pipeline.settings.topic.dead_letters, 10)
    failed = adstream(*pipeline.stream_command, "--once", "--log-format", "json")
    line = one_line(failed)
    assert "failed 5 times on the same batch" in line
    assert "larger than the max message size" in line
    said = [json.loads(each) for each in failed.stdout.splitlines()]
    assert [each["level"] for each in said if "trying again" in each["message"]] == ["warning"] * 4
    assert (said[-1]["level"], said[-1]["message"]) == ("error", line.removeprefix("error: "))
    log = (pipeline.settings.data_dir / "logs" / "ad-metrics.log").read_text(encoding="utf-8")
    logged = [json.loads(each) for each in log.splitlines() if each.startswith("{")]
    last = {(each["query_id"], each["run_id"], each["batch_id"]) for each in logged if each["level"] == "ERROR"}
    assert (said[-1]["query_id"], said[-1]["run_id"], "1") in last
    assert pipeline.dead_letters() == []
    limit_messages(pipeline.settings, pipeline.settings.topic.dead_letters, 1_000_000)
    pipeline.run(spark)
    found = pipeline.verified()
    assert sum(found.fates.values()) == 600
    assert len(pipeline.dead_letters()) == found.fates["dead"] > 100


def test_a_checkpoint_made_with_other_options_is_refused(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--count", "100", "--over", "1m")
    pipeline.run(spark)
    line = one_line(adstream(*pipeline.stream_command, "--once", "--no-dedupe"))
    assert "dedupe=True, not False" in line
    assert "--checkpoint" in line
    with pytest.raises(CheckpointError, match="window=1m, not 2m"):
        pipeline.run(spark, job=find("ad-metrics").with_parameters(window=timedelta(minutes=2)))


def test_a_job_without_its_tables_says_how_to_make_them(spark: SparkSession, pipeline: Pipeline) -> None:
    failed = adstream(*pipeline.stream_command, ADSTREAM_CASSANDRA_KEYSPACE="nothing_here")
    assert "adstream migrate" in one_line(failed)
    assert "starting Spark" not in failed.stdout
    settings = pipeline.settings.cassandra
    failed = adstream(*pipeline.stream_command, ADSTREAM_TOPIC_ADS="no_such_topic")
    assert "no_such_topic" in one_line(failed)
    with connect(settings, keyspace=settings.keyspace) as session:
        session.execute("ALTER TABLE ad_metrics ADD clics bigint", timeout=30)
    with pytest.raises(MigrationError, match="has a column clics, which the job does not compute"):
        pipeline.run(spark)


def test_latest_takes_only_what_comes_after(pipeline: Pipeline) -> None:
    pipeline.produce("--count", "200", "--over", "1m")
    with running_job(pipeline, "--from", "latest", trigger="1s") as job:
        job.await_line("reading from")
        pipeline.produce("--count", "50", "--over", "1m")
        job.await_events(50)
        code, _, errors = job.end()
        assert code == 0, errors
    settings = pipeline.settings.cassandra
    with connect(settings, keyspace=settings.keyspace) as session:
        rows = session.execute("SELECT total_views FROM ad_metrics")
        assert 0 < len(list(rows)) <= 50


def send_hostile(pipeline: Pipeline, texts: list[str]) -> None:
    """Send for each ad an event that counts and a dead letter. Key, header and event id are hostile, too."""
    topic, now = pipeline.settings.topic.ads, int(time.time() * 1_000)
    encode = Encoder(RegistryClient(pipeline.settings.registry).latest(f"{topic}-value"), contracts.latest("ads_data"))
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka.bootstrap_servers})
    for text in texts:
        for clicks in (1, -1):
            event = {"ad_id": text, "timestamp": now, "clicks": clicks, "views": 4, "cost": 0.5, "event_id": None}
            producer.produce(topic, encode(event), text.encode(), headers=[("origin", text.encode())])
    assert producer.flush(30) == 0


def the_console_leaves_no_trace(pipeline: Pipeline, texts: list[str]) -> None:
    """Run with `--console`: it prints rows, and leaves neither a checkpoint nor a row in the tables."""
    said = pipeline.stream_once("--console")
    shows(said, texts)
    assert "avg_cost_per_view" in said
    assert re.search(r"ad-001 {2,}\d{4}-\d\d-\d\d \d\d:\d\d:[03]0  \d{4}-\d\d-\d\d \d\d:\d\d:[03]0  ", said)
    assert "ad-002" in said
    assert not pipeline.checkpoint.exists()
    settings = pipeline.settings.cassandra
    with connect(settings, keyspace=settings.keyspace) as session:
        assert session.execute("SELECT * FROM ad_metrics").one() is None


def test_ads_with_hostile_names_are_text_in_every_command(spark: SparkSession, pipeline: Pipeline) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    drawn = [text for text in hostile(seed, 100) if text.isprintable() and text not in HOSTILE][:2]
    texts = [*HOSTILE, *drawn, "ad-001", "ad-002"]
    send_hostile(pipeline, texts)
    the_console_leaves_no_trace(pipeline, texts)
    pipeline.run(spark)
    assert pipeline.verified().fates == {"counted": len(texts), "duplicate": 0, "late": 0, "dead": len(texts)}
    [place, *_] = [json.loads(line)["place"] for line in said("dead-letters", "list", "--json").splitlines()]
    named = json.loads(said("dead-letters", "list", "--json").splitlines()[0])
    assert named["reason"] == "clicks_negative"
    shows(said("show", "ad-metrics", "--limit", "100"), texts)
    shows(said("sql", "ad-metrics", "select ad_id, total_clicks from ad_metrics"), texts)
    shows(said("cql", "SELECT * FROM ad_metrics"), [text for text in texts if text.isprintable()])
    topic = pipeline.settings.topic.ads
    lines = said("consume", topic, "--to-end")
    harmless(lines)
    assert all(f"key={shown(text)} " in lines for text in texts)
    exact = [json.loads(line)["value"]["ad_id"] for line in said("consume", topic, "--to-end", "--json").splitlines()]
    assert Counter(exact) == dict.fromkeys(texts, 2)
    harmless(said("dead-letters", "list"))
    harmless(said("verify", "ad-metrics", "--checkpoint", str(pipeline.checkpoint)))
    page = said("dead-letters", "explain", place)
    harmless(page)
    assert any(f" origin = {shown(text)[:100]}" in page for text in texts)
    log = (pipeline.settings.data_dir / "logs" / "ad-metrics.log").read_text(encoding="utf-8")
    assert "\x1b" not in log
    missing = one_line(adstream("show", "ad-metrics", "--ad=[/x]\x1b[2J\u202e:smile:"))
    assert missing.startswith(r"error: nothing is stored for ad [/x]\u001b[2J\u202e:smile:; ")


def said(*arguments: str) -> str:
    done = adstream(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    harmless(done.stderr)
    return done.stdout
