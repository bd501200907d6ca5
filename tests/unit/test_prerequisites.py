"""A job whose rows would expire too early is refused. tests/e2e/test_migrations.py asks a real Cassandra."""

from datetime import timedelta

import pytest

from common.cassandra.time_to_live import expires
from common.errors import ConfigError
from streaming.job import Job
from streaming.jobs import JOBS, find
from streaming.query.prerequisites import require_rows_that_last
from streaming.sinks.sink import tables_of

MILLISECOND = timedelta(milliseconds=1)
MONTH = timedelta(days=30)


def check(job: Job, lives: timedelta = MONTH) -> None:
    require_rows_that_last(job, dict.fromkeys(filter(expires, tables_of(job.sinks)), lives))


def days(**given: int) -> dict[str, timedelta]:
    return {name: timedelta(days=number) for name, number in given.items()}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        (
            "top-products",
            days(window=60),
            "a row of top_products lives 30d, and it may change for longer: --window 60d",
        ),
        ("ad-metrics", days(window=30, slide=1), "a row of ad_metrics_by_window lives 30d"),
        ("logins", days(watermark=30), "a row of logins lives 30d"),
        (
            "user-sessions",
            days(gap=30),
            "a row of user_sessions lives 30d, and it may change for longer: --gap 30d",
        ),
    ],
)
def test_a_window_that_is_open_for_longer_than_its_rows_live_is_refused(
    name: str, given: dict[str, timedelta], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check(find(name).with_parameters(**given))
    assert str(refused.value).startswith(said)


def test_the_line_names_the_setting_and_a_value_that_is_enough() -> None:
    job = find("top-products").with_parameters(window=timedelta(days=60), watermark=timedelta(minutes=10))
    with pytest.raises(ConfigError) as refused:
        check(job)
    assert str(refused.value) == (
        "a row of top_products lives 30d, and it may change for longer: --window 60d + --watermark 10m;"
        " run `adstream migrate` with ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS at 61 or more, or give shorter times"
    )
    check(job, timedelta(days=61))
    with pytest.raises(ConfigError, match="lives 60d"):
        check(job, timedelta(days=60))


def test_the_table_whose_rows_expire_first_decides() -> None:
    job = find("top-products").with_parameters(window=timedelta(days=60))
    with pytest.raises(ConfigError, match="a row of product_totals lives 90s"):
        require_rows_that_last(job, {"top_products": MONTH, "product_totals": timedelta(seconds=90)})


def test_a_row_may_change_for_as_long_as_it_lives_and_no_longer() -> None:
    job = find("ad-metrics")
    assert job.lateness is not None
    longest = MONTH - job.lateness
    check(job.with_parameters(window=longest, slide=longest))
    with pytest.raises(ConfigError):
        check(job.with_parameters(window=longest + MILLISECOND, slide=longest + MILLISECOND))


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_every_job_starts_with_the_shortest_time_to_live(job: Job) -> None:
    check(job, timedelta(days=1))


def test_rows_that_are_written_at_the_end_or_in_every_batch_do_not_expire_before() -> None:
    check(find("sensor-averages").with_parameters(**days(window=60)))
    check(find("session-windows").with_parameters(**days(gap=60)))
    long = find("transaction-windows").with_parameters(**days(window=60))
    check(long)
    with pytest.raises(ConfigError, match="a row of transaction_windows lives 30d"):
        check(long.in_mode("update"))


def test_rows_that_never_expire_may_change_for_ever() -> None:
    check(find("rack-alerts").with_parameters(**days(watermark=60)))
    require_rows_that_last(find("top-products").with_parameters(**days(window=60)), {})
