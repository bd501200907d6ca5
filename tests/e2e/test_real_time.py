"""ad-metrics in real-time mode: rows at once, and the same guarantees."""

import json
import urllib.request
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from adstream.tour.one_click import Clicks
from common.kafka import client_config, end_offsets
from common.registry import RegistryClient
from common.text.durations import duration_text
from streaming.real_time.rehearsal import MOST_SECONDS
from streaming.real_time.suits import TRIGGER
from streaming.spark.session import log_of
from tests.e2e.commands import MIX, adstream, changed_contract, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.real_time_job import real_time_job
from tests.e2e.row_watch import watched
from tests.faults.test_services import send_unknown_schema_id
from tests.waiting import until

PATIENCE_SECONDS = 60


@pytest.mark.timeout(1_500)
def test_rows_come_at_once_and_every_offset_is_explained_live_and_after(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    # The topic of other jobs' rows is made by their first run.
    admin = AdminClient(client_config(settings.kafka))
    admin.delete_topics([settings.topic.updates])[settings.topic.updates].result(timeout=30)
    pipeline.produce("--count", "3000", "--over", "3m", *MIX)
    with real_time_job(pipeline, "--metrics-port", "0") as job, watched(settings):
        said = job.await_line(r"^batch 0 ")
        # Most events meet no pause between two batches. A micro-batch would wait for its trigger of 3 s.
        clicks = Clicks(settings, settings.topic.ads)
        assert min(clicks.until_its_row(PATIENCE_SECONDS) for _ in range(10)) < 1

        newer = changed_contract(settings.topic.ads, {"name": "country", "type": ["null", "string"], "default": None})
        RegistryClient(settings.registry).register(newer)
        pipeline.produce("--count", "500", "--over", "1m", *MIX)
        said = job.await_line("new schema version", after=said)
        send_unknown_schema_id(pipeline)
        said = job.await_line("have schema id 500000, which the registry does not know", after=said)
        clicks.until_its_row(PATIENCE_SECONDS)

        said = job.await_line(r"^batch \d+ ", after=said)
        live = pipeline.verified()
        assert live.fates["dead"] > 100
        assert live.fates["late"] > 100
        assert "another driver, process" in one_line(adstream(*pipeline.stream_command, "--real-time"))

        url = job.address()
        progress = json.loads(urllib.request.urlopen(f"{url}/progress", timeout=30).read())
        assert progress["applied"]["rows_written"] > 100
        metrics = urllib.request.urlopen(f"{url}/metrics", timeout=30).read().decode()
        assert 'adstream_event_to_row_seconds_bucket{job="ad-metrics",le="0.25"}' in metrics
        assert urllib.request.urlopen(f"{url}/ready", timeout=30).status == 200

        family = psutil.Process(job.pid).children(recursive=True)
        code, said_all, errors = job.end()
        assert (code, errors) == (0, "")
        # The other unknown ids are far above all that the registry has given. They cost no new start.
        assert said_all.count("which the registry does not know") == 1
        assert "the applying process ended" not in said_all
        assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    after = pipeline.verified()
    assert sum(after.fates.values()) == sum(end_offsets(settings, settings.topic.ads).values())
    assert after.comparison.moving == 0

    other_mode = one_line(adstream(*pipeline.stream_command, "--once"))
    assert "counts in real time; go on with --real-time, or begin anew with `adstream reset ad-metrics`" in other_mode
    assert "does not run in real-time mode: it has no end" in one_line(
        adstream(*pipeline.stream_command, "--real-time", "--once")
    )


@pytest.mark.timeout(600)
def test_the_job_counts_beside_its_rehearsal_which_leaves_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = pipeline.settings
    own = tmp_path / "tmp"
    own.mkdir()
    log = log_of(settings, "ad-metrics")
    before = log.stat().st_size if log.exists() else 0
    pipeline.produce("--count", "300")
    with real_time_job(pipeline, trigger=duration_text(TRIGGER), TMPDIR=str(own)) as job:
        job.await_line("reading from")

        def rehearses() -> bool:
            return any(own.glob("adstream-rehearsal-*"))

        until(rehearses, PATIENCE_SECONDS)
        assert Clicks(settings, settings.topic.ads).until_its_row(PATIENCE_SECONDS) < PATIENCE_SECONDS
        assert rehearses()
        until(lambda: not rehearses(), 2 * MOST_SECONDS)
        assert Clicks(settings, settings.topic.ads).until_its_row(PATIENCE_SECONDS) < PATIENCE_SECONDS
    with log.open("rb") as lines:
        lines.seek(before)
        assert b" ERROR " not in lines.read()
