"""A power cut takes messages that Kafka has acknowledged, and new messages get their offsets.

A job that has counted the lost ones must not go on: it would skip the new ones in silence. Nor must an archive that has
them, and a backfill must not compute with the new ones. A job that has not read them counts what is left. Rows of
real-time mode that are lost before they were applied are made again.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from adstream.backfill.request import Listener, Request
from adstream.backfill.windows import Recount
from adstream.verify.ad_metrics import Verified
from common.errors import BadInput, CheckpointError
from common.kafka import end_offsets
from common.settings import Settings
from streaming.history.archive import Archive, Archived
from streaming.jobs import find
from tests.e2e.applying import Applying
from tests.e2e.commands import MIX, adstream, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import applying_process, real_time_job
from tests.e2e.running_job import Job, running_job
from tests.e2e.updates import Updates
from tests.faults import power_cut
from tests.faults.account import Account, Figures
from tests.faults.applied import settle_applied
from tests.faults.faulty import settle
from tests.faults.services import killed
from tests.faults.steady import await_applied, settled

LOST = r"partition \d, up to offset [\d,]+, and Kafka has lost these messages from offset [\d,]+ on; `adstream reset"


def produce(pipeline: Pipeline, seed: int) -> None:
    """Send 3,000 events, in several batches of records for each partition."""
    for part in range(3):
        pipeline.produce("--seed", str(seed + part), "--count", "1000", "--over", "1m", *MIX)


def cut_off(settings: Settings, topic: str, chance: random.Random, least: Mapping[int, int]) -> tuple[int, int]:
    """Cut some batches of records off a partition, none before `least`. Returns the partition and its log's new end."""
    places = [
        (partition, begin)
        for partition in least
        for begin in power_cut.begins(settings, topic, partition)[-3:]
        if begin >= max(1, least[partition])
    ]
    partition, end = chance.choice(places)
    power_cut.cut(settings, topic, partition, end)
    return partition, end


def produce_past(pipeline: Pipeline, partition: int, offset: int, seed: int) -> None:
    """Send events until the partition has an offset again."""
    sent = 0
    while end_offsets(pipeline.settings, pipeline.settings.topic.ads)[partition] <= offset:
        assert sent < 20_000
        pipeline.produce("--seed", str(seed + sent), "--count", "1000", "--over", "1m", *MIX)
        sent += 1_000


def count_anew(spark: SparkSession, pipeline: Pipeline, account: Account) -> None:
    """Do what the refusal says, and compare."""
    done = adstream("reset", "ad-metrics", "--checkpoint", str(pipeline.checkpoint), "--yes")
    assert done.returncode == 0, done.stderr
    pipeline.run(spark)

    def tell(found: Verified) -> None:
        ledger, comparison = found.ledger, found.comparison
        account.figures = Figures(ledger.offsets, ledger.unexplained, comparison.cells, comparison.different)

    # The dead-letter topic still has letters of the lost messages, so `settle` would find too many.
    assert sum(pipeline.verified(tell).fates.values()) == len(pipeline.messages())


def test_counted_messages_that_a_power_cut_takes_stop_the_job(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    produce(pipeline, seed)
    pipeline.run(spark)
    before = end_offsets(pipeline.settings, pipeline.settings.topic.ads)
    with killed(pipeline.settings, "kafka"), account.fault("power cut of Kafka", "all was counted") as fault:
        partition, end = cut_off(pipeline.settings, pipeline.settings.topic.ads, chance, dict.fromkeys(before, 0))
    lost = f"partition {partition}, which ends at {end:,}: Kafka has lost {before[partition] - end:,} messages"
    with pytest.raises(CheckpointError, match=lost):
        pipeline.run(spark)
    produce_past(pipeline, partition, before[partition], seed + 9)
    with pytest.raises(CheckpointError, match=LOST):
        pipeline.run(spark)
    with pytest.raises(CheckpointError, match=LOST):
        backfill(spark, pipeline)
    fault.refused = True
    count_anew(spark, pipeline, account)


def backfill(spark: SparkSession, pipeline: Pipeline) -> None:
    now = datetime.now(UTC)
    asked, listener = Request(now - timedelta(hours=1), now), Listener(lambda _line: None)
    checkpoint = str(pipeline.checkpoint)
    Recount(spark, pipeline.settings, find("ad-metrics"), checkpoint, asked, now=now, listener=listener).compare()


@pytest.mark.thorough
def test_an_archive_does_not_skip_what_comes_in_the_place_of_lost_messages(
    spark: SparkSession, pipeline: Pipeline, tmp_path: Path
) -> None:
    settings, topic = pipeline.settings, pipeline.settings.topic.ads
    archive = Archive(spark, str(tmp_path / "archive"))
    pipeline.produce("--count", "1000", "--over", "1m")
    assert archive.extend(settings, topic) == Archived(0, 1_000)
    with killed(settings, "kafka"):
        pass
    assert archive.extend(settings, topic) == Archived(1_000, 0)  # a new leader has lost nothing
    kept = end_offsets(settings, topic)
    produce(pipeline, 1)
    assert archive.extend(settings, topic) == Archived(1_000, 3_000)
    before = end_offsets(settings, topic)
    with killed(settings, "kafka"):
        partition, end = cut_off(settings, topic, random.Random(1), kept)
    place = f"{topic}, partition {partition}, up to offset {before[partition]:,}"
    lost = f"has archived {place}, and Kafka has lost these messages from offset {end:,} on"
    with pytest.raises(BadInput, match=lost):
        archive.extend(settings, topic)
    produce_past(pipeline, partition, before[partition], 9)
    assert lost in one_line(adstream("archive", topic, archive.folder))
    again = Archive(spark, str(tmp_path / "again"))
    assert again.extend(settings, topic) == Archived(0, len(pipeline.messages()))


@pytest.mark.thorough
def test_messages_that_a_power_cut_takes_before_they_were_counted_are_not_missed(
    spark: SparkSession, pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "1000", "--over", "1m", *MIX)
    pipeline.run(spark)
    counted = end_offsets(pipeline.settings, pipeline.settings.topic.ads)
    produce(pipeline, seed + 1)
    with killed(pipeline.settings, "kafka"), account.fault("power cut of Kafka", "while the job was behind"):
        cut_off(pipeline.settings, pipeline.settings.topic.ads, chance, counted)
    pipeline.produce("--seed", str(seed + 9), "--count", "1000", "--over", "1m", *MIX)
    pipeline.run(spark)
    settle(account, pipeline, len(pipeline.messages()))


@pytest.mark.thorough
@pytest.mark.parametrize("started", [running_job, real_time_job], ids=["micro_batch", "real_time"])
@pytest.mark.timeout(1_500)
def test_a_running_job_does_not_skip_what_comes_in_the_place_of_lost_messages(
    spark: SparkSession,
    pipeline: Pipeline,
    account: Account,
    seed: int,
    started: Callable[[Pipeline], AbstractContextManager[Job]],
) -> None:
    chance = random.Random(seed)
    produce(pipeline, seed)
    with started(pipeline) as job:
        job.await_events(3000)
        job.await_line(r"^batch \d+ .* lag 0\b")
        before = end_offsets(pipeline.settings, pipeline.settings.topic.ads)
        with killed(pipeline.settings, "kafka"), account.fault("power cut of Kafka", "all was counted") as fault:
            partition, _ = cut_off(pipeline.settings, pipeline.settings.topic.ads, chance, dict.fromkeys(before, 0))
        produce_past(pipeline, partition, before[partition], seed + 9)
        job.await_end()
        code, lines, errors = job.end()
    assert code == 1, lines
    assert "Kafka has lost" in errors
    fault.refused = True
    count_anew(spark, pipeline, account)


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_rows_at_the_offsets_of_applied_ones_are_applied_too(
    pipeline: Pipeline, account: Account, seed: int, running: bool
) -> None:
    chance, settings = random.Random(seed), pipeline.settings
    topic, old = settings.topic.updates, Updates(settings)
    for _ in range(500):
        old.event()
        if old.events % 100 == 0:
            old.flush()  # a batch of records, at least
    with Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 0 and told["rows_read"] == 3 * old.events)
        if not running:
            assert process.end() == (0, "")
        anywhere = dict.fromkeys(end_offsets(settings, topic), 0)
        with killed(settings, "kafka"), account.fault("power cut of Kafka", "all rows were applied"):
            cut_off(settings, topic, chance, anywhere)
        new = Updates(settings, ads=2_000, start=old.start)
        for _ in range(2_000):  # one for each ad: no later row makes up for a lost one
            new.event()
        new.flush()
        if running:
            process.wait_until(lambda told: told["rows_read"] >= 3 * (old.events + new.events))
            assert process.end() == (0, "")
    settle_applied(account, pipeline, new)


@pytest.mark.thorough
@pytest.mark.timeout(1_500)
def test_rows_that_a_power_cut_takes_before_they_were_applied_are_made_again(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance, settings = random.Random(seed), pipeline.settings
    produce(pipeline, seed)
    with real_time_job(pipeline) as job:
        job.await_events(3_000)
        await_applied(settings)
        victim = applying_process(job.pid)
        victim.suspend()
        applied = end_offsets(settings, settings.topic.updates)
        produce(pipeline, seed + 3)
        job.await_events(6_000)
        with killed(settings, "kafka"), account.fault("power cut of Kafka", "rows waited to be applied"):
            cut_off(settings, settings.topic.updates, chance, applied)
        victim.resume()
        job.await_line("has a new leader")
        assert min(settled(account, pipeline, job).values()) > 0
