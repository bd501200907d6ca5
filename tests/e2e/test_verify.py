"""`adstream verify ad-metrics` on real services: while the job runs, and where something is wrong or has aged out."""

import io
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from adstream.verify import topic
from adstream.verify.ad_metrics import Wish
from adstream.verify.offsets import JobCheckpoint
from adstream.verify.oracle import WINDOWS
from adstream.verify.report import report
from common.cassandra.session import connect, require_tables
from common.cassandra.time_to_live import times_to_live
from common.errors import CheckpointError, Mismatch, Unproved
from common.kafka import end_offsets
from common.settings import Settings
from tests.e2e.commands import MIX, adstream, delete_before, one_line, started
from tests.e2e.pipeline import Pipeline

SECONDS = 240
LOOKS = 30


def said(pipeline: Pipeline, wish: Wish | None = None) -> str:
    """Return the command's output. Raises Mismatch and Unproved."""
    text = io.StringIO()
    try:
        report(pipeline.settings, pipeline.checkpoint, Console(file=text, width=200, highlight=False), wish)
    finally:
        print(text.getvalue())
    return text.getvalue()


def differing(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], wish: Wish | None = None) -> tuple[str, str]:
    """Return the output of a comparison that must fail, and its error."""
    capsys.readouterr()
    with pytest.raises(Mismatch) as refused:
        said(pipeline, wish)
    return capsys.readouterr().out, refused.value.problem


def await_commit(job: subprocess.Popen[str], checkpoint: Path) -> None:
    """Wait for the job's first batch, which takes long on a busy machine."""
    end = time.monotonic() + 2 * SECONDS
    while not (checkpoint / "commits" / "0").exists():
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < end, "no batch was committed"
        time.sleep(0.2)


@contextmanager
def rows_that_live(settings: Settings, lifetime: timedelta) -> Iterator[None]:
    """Let the table of windows say until the block ends that its rows live that long. Its rows stay."""
    before = times_to_live(require_tables(settings.cassandra, [WINDOWS]).values())[WINDOWS]
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:

        def live(as_long_as: timedelta) -> None:
            seconds = as_long_as // timedelta(seconds=1)
            session.execute(f"ALTER TABLE {WINDOWS} WITH default_time_to_live = {seconds}", timeout=30)

        live(lifetime)
        try:
            yield
        finally:
            live(before)


@contextmanager
def changed_clicks(settings: Settings) -> Iterator[str]:
    """Add one to a cell until the block ends. Yield the line that reports it."""
    change = "UPDATE ad_metrics SET total_clicks = %s WHERE ad_id = %s"
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        row = session.execute("SELECT ad_id, total_clicks FROM ad_metrics LIMIT 1").one()
        session.execute(change, (row.total_clicks + 1, row.ad_id))
        try:
            yield f"ad_metrics {row.ad_id}: clicks is {row.total_clicks + 1}, must be {row.total_clicks}"
        finally:
            session.execute(change, (row.total_clicks, row.ad_id))


@pytest.mark.timeout(900)
def test_it_proves_a_running_job_and_names_what_is_wrong(
    spark: SparkSession,
    pipeline: Pipeline,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, ads = pipeline.settings, pipeline.settings.topic.ads
    books = tmp_path / "first", tmp_path / "second"
    wish = Wish(acknowledged=books)
    pipeline.produce("--count", "3000", "--over", "3m", *MIX, "--acknowledged", str(books[0]))
    with started("produce", "ads", "--rate", "200", *MIX, "--acknowledged", str(books[1])) as producer:
        with started(*pipeline.stream_command, "--trigger", "100ms") as job:
            await_commit(job, pipeline.checkpoint)
            seen = [pipeline.verified().comparison.moving for _ in range(2)]
            while not any(seen):
                assert len(seen) < LOOKS, "no row moved"
                seen.append(pipeline.verified().comparison.moving)
            job.send_signal(signal.SIGTERM)
            _, errors = job.communicate(timeout=SECONDS)
            assert job.returncode == 0, errors
        producer.send_signal(signal.SIGINT)
        assert producer.wait(timeout=SECONDS) == 0

    # The stopped job has planned a batch that it has not written.
    resting = pipeline.verified()
    assert resting.ledger.unexplained == 0
    assert resting.ledger.offsets == sum(resting.fates.values()) > 3000
    assert {line.partition: line.end for line in resting.ledger.lines} == JobCheckpoint(
        pipeline.checkpoint
    ).committed().ends
    with monkeypatch.context() as many:
        many.setattr(topic, "_ALONE", 0)
        many.setattr(topic, "_SMALLEST_PIECE", 700)
        assert pipeline.verified().fates == resting.fates

    with rows_that_live(settings, timedelta(minutes=1)):
        younger = pipeline.verified()
        assert younger.equal
        assert 0 < younger.comparison.rows < resting.comparison.rows

    # The topic also has acknowledged events that the job has not processed yet.
    sent = sum(end_offsets(settings, ads).values())
    assert sent > resting.ledger.offsets
    assert f"{sent:,} acknowledged: {sent:,} in the topic, 0 aged out" in said(pipeline, wish)
    with books[1].open("a") as book:
        book.write(f"{ads} 0 0 00000000\n{ads} 1 99999999 00000000\n")
    lines, problem = differing(pipeline, capsys, wish)
    assert problem == "2 acknowledged messages are not in the topic"
    assert f"{ads}/0/0: acknowledged, but other bytes lie there" in lines
    assert f"{ads}/1/99999999: acknowledged, but not in the topic" in lines

    assert "baseline kept" in said(pipeline, Wish(keep_baseline=True))
    dead = {partition: end - 1 for partition, end in end_offsets(settings, settings.topic.dead_letters).items()}
    delete_before(settings, settings.topic.dead_letters, {partition: max(0, end) for partition, end in dead.items()})
    assert "of the dead letters may have aged out" in said(pipeline)

    delete_before(settings, ads, JobCheckpoint(pipeline.checkpoint).committed().ends)
    pipeline.run(spark)
    after = pipeline.verified()
    assert after.since is not None
    assert after.ledger.offsets == sum(after.fates.values()) == sent
    assert after.comparison.rows >= resting.comparison.rows
    assert after.comparison.moving == 0
    with changed_clicks(settings) as line:
        failed = adstream("verify", "ad-metrics", "--checkpoint", pipeline.checkpoint, "--keep-baseline")
        assert f"1 of {after.comparison.rows:,} rows differ" in one_line(failed)
        assert failed.stdout.count(line) == 1
        assert "baseline kept" not in failed.stdout

    shutil.rmtree(pipeline.checkpoint.with_name(f"{pipeline.checkpoint.name}.baselines"))
    with pytest.raises(Unproved, match="no kept baseline reaches to it"):
        said(pipeline)
    assert "not proved, as messages have aged out: totals, and windows that begin before" in said(
        pipeline, Wish(partial=True)
    )


def test_a_checkpoint_that_is_not_there_or_not_of_this_topic_is_refused(pipeline: Pipeline) -> None:
    command = "verify", "ad-metrics", "--checkpoint", str(pipeline.checkpoint)
    assert "run `adstream stream ad-metrics` first" in one_line(adstream(*command))
    with pytest.raises(CheckpointError):
        said(pipeline)
