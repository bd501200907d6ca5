"""A job's HTTP endpoint, asked over HTTP: its answers follow the runner's reports."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql.streaming.query import StreamingQuery

from common.errors import ConfigError
from common.settings import MetricsSettings, Settings
from common.system.running import running_jobs
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.endpoint import served
from streaming.monitoring.monitor import BATCHES_KEPT, Monitor

START = datetime(2026, 1, 1, tzinfo=UTC)
# Spark 4.1.1's report on a batch of a Kafka source, without the parts that nobody reads.
PROGRESS: dict[str, Any] = {
    "id": "0b2c9a5e-7d0f-4f0f-8f6a-2f1f0c6f9a11",
    "runId": "5d1b7f4e-3a53-4d3c-9b50-7f0d8f0f3c22",
    "inputRowsPerSecond": 500.0,
    "processedRowsPerSecond": 250.0,
    "durationMs": {"addBatch": 3_000, "walCommit": 200, "triggerExecution": 4_000},
    "stateOperators": [
        {"operatorName": "dedupe", "numRowsTotal": 10, "memoryUsedBytes": 1_000, "customMetrics": {}},
        {"operatorName": "stateStoreSave", "numRowsTotal": 4, "memoryUsedBytes": 500, "customMetrics": {}},
        {"operatorName": "stateStoreSave", "numRowsTotal": 0, "memoryUsedBytes": 300, "customMetrics": {}},
    ],
    "sources": [{"endOffset": {"ads": {"0": 600, "1": 400}}, "latestOffset": {"ads": {"0": 650, "1": 400}}}],
}
BATCH = BatchReport(
    7, 1_000, 4.0, 50, 5, 20, 3, 50, "2026-01-01T00:00:10.000Z", 0,
    dead_by_reason={"empty": 2, "short": 1}, sink_seconds=2.5, progress=PROGRESS,
)  # fmt: skip
IDLE = {"message": "Waiting for next trigger", "isDataAvailable": False, "isTriggerActive": False}
BETWEEN = {"message": "Waiting for next trigger", "isDataAvailable": True, "isTriggerActive": False}
BUSY = {"message": "Processing new data", "isDataAvailable": True, "isTriggerActive": True}
BEGINNING = {"message": "Initializing sources", "isDataAvailable": False, "isTriggerActive": False}


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def after(self, **span: float) -> None:
        self.time += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monitor(clock: Clock) -> Monitor:
    return Monitor("ad-metrics", "ads", timedelta(seconds=3), now=clock)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings()
    settings.data_dir = tmp_path
    return settings


@pytest.fixture
def url(settings: Settings, monitor: Monitor) -> Iterator[str]:
    with served(settings, monitor) as url:
        assert url is not None
        yield url


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(text)
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_progress_tells_what_the_dashboard_needs(url: str, monitor: Monitor, clock: Clock) -> None:
    clock.after(seconds=5)
    monitor.batch(BATCH)
    status, text = get(f"{url}/progress")
    assert status == 200
    assert json.loads(text) == {
        "job": "ad-metrics",
        "source": "ads",
        "started": "2026-01-01T00:00:00.000Z",
        "restarts": 0,
        "ready": True,
        "reason": "",
        "trigger_seconds": 3.0,
        "partitions": {"0": {"end": 600, "latest": 650, "lag": 50}, "1": {"end": 400, "latest": 400, "lag": 0}},
        "newest_event": None,
        "freshness": [],
        "batches": [
            {
                "batch_id": 7,
                "at": "2026-01-01T00:00:05.000Z",
                "events": 1_000,
                "seconds": 4.0,
                "rows": 50,
                "duplicates": 5,
                "late": 20,
                "dead": 3,
                "dead_by_reason": {"empty": 2, "short": 1},
                "lag": 50,
                "watermark": "2026-01-01T00:00:10.000Z",
                "phases_ms": {"addBatch": 3_000, "walCommit": 200, "triggerExecution": 4_000},
                "sink_seconds": 2.5,
                "state_rows": 14,
                "state_bytes": 1_800,
                "state_disk_bytes": 0,
                "input_rate": 500.0,
                "processed_rate": 250.0,
            }
        ],
    }


def test_rows_that_rocksdb_does_not_count_are_not_told_as_none_at_all(monitor: Monitor) -> None:
    operator = {"operatorName": "dedupe", "numRowsTotal": 0, "memoryUsedBytes": 10}
    rocksdb = {"rocksdbSstFileSize": 5_000, "rocksdbPutCount": 3}
    monitor.batch(replace(BATCH, progress=PROGRESS | {"stateOperators": [operator | {"customMetrics": rocksdb}]}))
    [told] = monitor.progress()["batches"]
    assert (told["state_rows"], told["state_bytes"], told["state_disk_bytes"]) == (None, 10, 5_000)
    found = {name: value for name, _, value in samples(monitor.metrics.exposed()[0].decode())}
    assert (found.get("adstream_state_rows"), found["adstream_state_disk_bytes"]) == (None, 5_000)


def test_the_newest_batches_are_kept_and_their_number_is_bounded(monitor: Monitor) -> None:
    for number in range(BATCHES_KEPT + 10):
        monitor.batch(replace(BATCH, batch_id=number))
    kept = [batch["batch_id"] for batch in monitor.progress()["batches"]]
    assert kept == list(range(10, BATCHES_KEPT + 10))


def test_a_batch_that_spark_gave_no_report_of_leaves_the_partitions_as_they_were(monitor: Monitor) -> None:
    monitor.batch(BATCH)
    before = monitor.progress()["partitions"]
    monitor.batch(BatchReport(8, 10, 0.0, 5, 0, 0, 0, 0, "", 0))
    assert monitor.progress()["partitions"] == before
    assert monitor.progress()["batches"][-1]["watermark"] is None


def test_it_is_ready_after_the_first_batch_and_not_while_the_last_attempt_has_failed(
    url: str, monitor: Monitor
) -> None:
    assert get(f"{url}/ready") == (503, "no batch is committed yet\n")
    assert get(f"{url}/health") == (200, "ok\n")
    monitor.batch(BATCH)
    assert get(f"{url}/ready") == (200, "ok\n")
    monitor.failed("Cassandra is away")
    assert get(f"{url}/ready") == (503, "the last attempt failed: Cassandra is away\n")
    assert get(f"{url}/health") == (200, "ok\n")
    monitor.batch(BATCH)
    assert get(f"{url}/ready") == (200, "ok\n")
    assert json.loads(get(f"{url}/progress")[1])["restarts"] == 1


def test_it_is_ready_when_it_waits_at_the_end_of_its_topic(monitor: Monitor) -> None:
    for status in (BEGINNING, BUSY, BETWEEN):
        monitor.seen(status)
        assert monitor.unready()
    monitor.seen(IDLE)
    assert not monitor.unready()
    monitor.failed("Kafka is away")
    monitor.seen(BUSY)
    assert monitor.unready()
    monitor.seen(IDLE)
    assert not monitor.unready()


def test_a_query_is_asked_for_its_status_once_a_second_and_not_at_each_poll(monitor: Monitor, clock: Clock) -> None:
    asked = []

    class Query:
        @property
        def status(self) -> dict[str, Any]:
            asked.append(clock())
            return IDLE

    for _ in range(21):
        monitor.polled(cast("StreamingQuery", Query()))
        clock.after(seconds=0.2)
    assert len(asked) == 4
    assert not monitor.unready()


def test_it_is_unhealthy_when_no_trigger_ends_and_idle_ones_count(url: str, monitor: Monitor, clock: Clock) -> None:
    clock.after(seconds=119)
    monitor.seen(BETWEEN)
    clock.after(seconds=119)
    monitor.seen(BUSY)
    assert get(f"{url}/health")[0] == 200
    clock.after(seconds=2)
    assert get(f"{url}/health") == (503, "no trigger has ended for 121 s; the bound is 120 s\n")
    assert get(f"{url}/ready")[0] == 503
    monitor.batch(BATCH)
    assert get(f"{url}/health")[0] == 200


def test_a_long_trigger_has_ten_times_its_length(clock: Clock) -> None:
    monitor = Monitor("ad-metrics", "ads", timedelta(minutes=5), now=clock)
    clock.after(minutes=49)
    assert not monitor.unhealthy()
    clock.after(minutes=2)
    assert monitor.unhealthy()


def test_in_real_time_it_is_ready_in_the_middle_of_a_batch(clock: Clock) -> None:
    monitor = Monitor("ad-metrics", "ads", timedelta(minutes=5), real_time=True, now=clock)
    monitor.seen(BUSY, takes_events=True)
    assert monitor.unready() == "no batch is committed yet"
    monitor.applied({"rows_written": 0, "newest_event": None, "waiting_for": ""})
    monitor.seen(BUSY)
    assert monitor.unready() == "no batch is committed yet"
    monitor.seen(BUSY, takes_events=True)
    assert not monitor.unready()
    monitor.failed("Kafka is away")
    monitor.seen(BUSY)
    assert monitor.unready() == "the last attempt failed: Kafka is away"
    monitor.seen(BUSY, takes_events=True)
    assert not monitor.unready()


def test_in_real_time_a_batch_has_three_times_its_length(clock: Clock) -> None:
    monitor = Monitor("ad-metrics", "ads", timedelta(minutes=5), real_time=True, now=clock)
    clock.after(minutes=14)
    assert not monitor.unhealthy()
    clock.after(minutes=2)
    assert monitor.unhealthy()


def test_metrics_say_what_the_batches_did(url: str, monitor: Monitor, clock: Clock) -> None:
    monitor.batch(BATCH)
    clock.after(seconds=70)
    monitor.batch(replace(BATCH, batch_id=8, dead_by_reason={"empty": 1}, alarm=True, dropped_by_watermark=2))
    monitor.failed("Cassandra is away")
    found = samples(get(f"{url}/metrics")[1])
    assert {labels["job"] for _, labels, _ in found} == {"ad-metrics"}
    values = {(name, *(value for label, value in labels.items() if label != "job")): it for name, labels, it in found}
    expected = {
        ("adstream_up",): 1,
        ("adstream_ready",): 0,
        ("adstream_restarts_total",): 1,
        ("adstream_trigger_interval_seconds",): 3,
        ("adstream_batches_total",): 2,
        ("adstream_last_batch_timestamp_seconds",): START.timestamp() + 70,
        ("adstream_events_total",): 2_000,
        ("adstream_duplicate_events_total",): 10,
        ("adstream_late_events_total",): 40,
        ("adstream_dead_letters_total", "empty"): 3,
        ("adstream_dead_letters_total", "short"): 1,
        ("adstream_dropped_groups_total",): 2,
        ("adstream_input_events_per_second",): 500,
        ("adstream_processed_events_per_second",): 250,
        ("adstream_lag_events", "0"): 50,
        ("adstream_lag_events", "1"): 0,
        ("adstream_batch_duration_seconds_count",): 2,
        ("adstream_batch_duration_seconds_sum",): 8,
        ("adstream_batch_duration_seconds_bucket", "2.5"): 0,
        ("adstream_batch_duration_seconds_bucket", "5.0"): 2,
        ("adstream_batch_phase_seconds_total", "addBatch"): 6,
        ("adstream_batch_phase_seconds_total", "walCommit"): 0.4,
        ("adstream_sink_rows_total",): 100,
        ("adstream_sink_seconds_total",): 5,
        ("adstream_watermark_delay_seconds",): 60,
        ("adstream_state_rows", "dedupe"): 10,
        ("adstream_state_rows", "stateStoreSave 2"): 0,
        ("adstream_state_bytes", "stateStoreSave"): 500,
    }
    assert {key: values.get(key) for key in expected} == expected


def test_the_watermark_falls_behind_the_clock_while_nothing_comes(monitor: Monitor, clock: Clock) -> None:
    monitor.batch(BATCH)
    clock.after(hours=1)
    text = monitor.metrics.exposed()[0].decode()
    assert ("adstream_watermark_delay_seconds", {"job": "ad-metrics"}, 3_590.0) in samples(text)


def test_a_job_without_a_watermark_tells_no_delay(monitor: Monitor) -> None:
    monitor.batch(replace(BATCH, watermark="1970-01-01T00:00:00.000Z"))
    assert "adstream_watermark_delay_seconds{" not in monitor.metrics.exposed()[0].decode()


def test_openmetrics_is_spoken_to_whoever_asks_for_it(url: str) -> None:
    wanted = urllib.request.Request(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    with urllib.request.urlopen(wanted, timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.read().endswith(b"# EOF\n")


def test_another_path_says_which_there_are(url: str) -> None:
    status, text = get(f"{url}/")
    assert status == 404
    assert "/progress" in text


def test_a_client_that_says_nothing_holds_nobody_up(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert get(f"{url}/health")[0] == 200


def test_while_it_serves_it_is_listed_and_afterwards_neither(settings: Settings, monitor: Monitor) -> None:
    with served(settings, monitor) as url:
        [running] = running_jobs(settings)
        assert (running.job, running.pid, running.url) == ("ad-metrics", os.getpid(), url)
        written = json.loads((settings.data_dir / "running" / "ad-metrics.json").read_text())
        assert (written["job"], written["pid"], written["url"]) == ("ad-metrics", os.getpid(), url)
    assert running_jobs(settings) == []
    assert list((settings.data_dir / "running").iterdir()) == []
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(f"{url}/health")


@pytest.mark.parametrize(
    "entry",
    [
        {"job": "gone", "pid": 2**22 + 1, "url": "http://127.0.0.1:1", "process_started": 1.0},
        {"job": "of-another-process", "pid": os.getpid(), "url": "http://127.0.0.1:1", "process_started": 1.0},
        {"job": "half"},
        ["no", "entry"],
    ],
)
def test_what_a_killed_job_left_behind_is_not_listed(settings: Settings, entry: object) -> None:
    folder = settings.data_dir / "running"
    folder.mkdir()
    (folder / "left.json").write_text(json.dumps(entry))
    assert running_jobs(settings) == []


def test_a_killed_job_that_its_parent_has_not_waited_for_is_not_listed(settings: Settings) -> None:
    folder = settings.data_dir / "running"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as job:
        entry = {"job": "killed", "pid": job.pid, "url": "", "process_started": psutil.Process(job.pid).create_time()}
        (folder / "killed.json").write_text(json.dumps(entry))
        assert [each.job for each in running_jobs(settings)] == ["killed"]
        job.kill()
        os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert running_jobs(settings) == []


def test_the_end_of_an_older_run_leaves_the_younger_ones_entry(settings: Settings, monitor: Monitor) -> None:
    file = settings.data_dir / "running" / "ad-metrics.json"
    with served(settings, monitor):
        file.write_text(json.dumps({"job": "ad-metrics", "pid": 1, "url": "", "process_started": 1.0}))
    assert file.exists()


def test_off_serves_nothing_and_lists_nothing(settings: Settings, monitor: Monitor) -> None:
    settings.metrics = MetricsSettings(port="off")
    with served(settings, monitor) as url:
        assert url is None
        assert running_jobs(settings) == []


def test_a_port_that_is_taken_is_one_line(settings: Settings, monitor: Monitor, url: str) -> None:
    port = int(url.rpartition(":")[2])
    settings.metrics = MetricsSettings(port=port)
    taken = f"127.0.0.1:{port}: Address already in use; set ADSTREAM_METRICS_PORT"
    with pytest.raises(ConfigError, match=taken), served(settings, monitor):
        raise AssertionError("two serve on one port")


@pytest.mark.parametrize("port", ["many", "70000", "-1", ""])
def test_a_port_that_is_none_is_one_line(port: str) -> None:
    with pytest.raises(ConfigError, match=r"--metrics-port .*cannot be used; give a port"):
        MetricsSettings().on_port(port)
    assert MetricsSettings(host="0.0.0.0").on_port("9108") == MetricsSettings(host="0.0.0.0", port=9_108)
