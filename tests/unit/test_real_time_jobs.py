"""The jobs that run in real-time mode, and the error lines of all others."""

from datetime import timedelta

import pytest

from common.errors import ConfigError
from common.settings import Settings
from streaming.job import Job
from streaming.jobs import JOBS, find
from streaming.launch import _in_real_time
from streaming.real_time.suits import refusal, require, require_length, slots
from streaming.sinks.tables import Tables

REAL_TIME = {"ad-metrics", "ad-clicks", "user-clicks", "unique-visitors", "hourly-sales", "logins", "order-values"}
BY_MODE = {"transaction-totals", "transaction-windows", "mobile-actions", "rack-temperatures"}
REFUSALS = {
    "ad-tail": "append mode",
    "sensor-averages": "append mode",
    "sensor-moving-averages": "append mode",
    "session-windows": "append mode",
    "fruit-categories": "append mode",
    "running-totals": "state is kept by Python",
    "expiring-totals": "state is kept by Python",
    "user-sessions": "state is kept by Python",
    "error-alerts": "state is kept by Python",
    "rack-alerts": "state is kept by Python",
    "top-products": "combines rows",
}


def test_every_job_runs_in_real_time_or_says_why_not() -> None:
    suited = {name for name, job in JOBS.items() if not refusal(job)}
    by_mode = {name for name, job in JOBS.items() if "with --mode update it can" in refusal(job)}
    assert suited >= REAL_TIME
    assert by_mode >= BY_MODE
    for name in by_mode:
        assert not refusal(find(name).in_mode("update"))
    assert not (suited | by_mode) & REFUSALS.keys()
    assert {
        name: next(said for said in [why] if said in refusal(find(name))) for name, why in REFUSALS.items()
    } == REFUSALS


def test_the_state_has_the_partitions_of_this_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_SPARK_SHUFFLE_PARTITIONS", "7")
    assert _in_real_time(Settings()).spark.shuffle_partitions == 1
    monkeypatch.setenv("ADSTREAM_SPARK_REAL_TIME_PARTITIONS", "3")
    settings = Settings()
    assert _in_real_time(settings).spark.shuffle_partitions == 3
    assert settings.spark.shuffle_partitions == 7


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_a_job_that_runs_in_real_time_gives_whole_rows_of_tables_and_keeps_no_state_of_its_own(job: Job) -> None:
    plain = job.output_mode == "update" and job.state is None and job.lookup is None
    tables = bool(job.sinks) and all(type(sink) is Tables for sink in job.sinks)
    assert (not refusal(job)) == (plain and tables)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"once": True}, "has no end"),
        ({"console": True}, "--console prints"),
        ({"from_topic": False}, "no files and no socket"),
    ],
)
def test_a_run_that_does_not_suit_it_is_refused_in_one_line(how: dict[str, bool], why: str) -> None:
    usual = {"once": False, "console": False, "from_topic": True}
    require(find("ad-metrics"), **usual)
    with pytest.raises(ConfigError, match=why):
        require(find("ad-metrics"), **{**usual, **how})
    with pytest.raises(ConfigError, match="top-products does not run in real-time mode: its sink combines rows"):
        require(find("top-products"), **usual)


@pytest.mark.parametrize(("seconds", "said"), [(0, "0"), (1, "1s"), (4.9, "4900ms")])
def test_a_batch_that_is_shorter_than_spark_takes_is_refused_in_one_line(seconds: float, said: str) -> None:
    require_length(timedelta(seconds=5))
    with pytest.raises(ConfigError, match=f"^--trigger {said} is too short for real-time mode: .*; give 5s or more"):
        require_length(timedelta(seconds=seconds))


def test_all_tasks_of_all_stages_have_a_slot_and_so_have_those_that_settle() -> None:
    assert slots(2, 2, dedupe=True) == 2 + 2 + 2 + 2
    assert slots(2, 2, dedupe=False) == 2 + 2 + 2
    assert slots(12, 4, dedupe=True) == 12 + 4 + 4 + 12
