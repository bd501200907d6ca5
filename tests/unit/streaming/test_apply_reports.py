"""The counts and reports of the applying process."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from adstream.cli import app
from common.errors import ConfigError
from streaming.apply.freshness import BOUNDS, Freshness, counts_of, quantile
from streaming.monitoring.apply_metrics import Metrics

SECONDS = st.lists(st.floats(-1, 1_000), max_size=50)


def observed(*seconds: float) -> Freshness:
    fresh = Freshness()
    fresh.observe(np.array(seconds))
    return fresh


@given(SECONDS, SECONDS)
def test_the_histogram_counts_as_prometheus_does(first: list[float], second: list[float]) -> None:
    fresh = observed(*first)
    earlier = fresh.copy()
    fresh.observe(np.array(second))
    every = [max(0.0, each) for each in (*first, *second)]
    buckets = fresh.buckets()
    assert buckets == {str(bound): sum(each <= bound for each in every) for bound in BOUNDS} | {"+Inf": len(every)}
    assert fresh.count == len(every)
    assert fresh.sum == pytest.approx(sum(every))
    assert counts_of(buckets) == fresh.counts.tolist()
    assert fresh.since(earlier).buckets() == observed(*second).buckets()


@given(st.lists(st.floats(0, BOUNDS[-1]), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_in_the_bucket_of_the_row_that_it_is(seconds: list[float], share: float) -> None:
    found = observed(*seconds).quantile(share)
    assert found is not None
    row = sorted(seconds)[max(0, int(np.ceil(share * len(seconds))) - 1)]
    edges = (0.0, *BOUNDS)
    upper = next(place for place, bound in enumerate(BOUNDS, 1) if row <= bound)
    assert edges[upper - 1] <= found <= edges[upper]


def test_without_rows_there_is_no_quantile_and_beyond_the_bounds_it_is_the_last() -> None:
    assert Freshness().quantile(0.5) is None
    assert quantile([0] * (len(BOUNDS) + 1), 0.5) is None
    assert observed(10_000.0).quantile(0.5) == BOUNDS[-1]


def test_before_the_first_row_there_is_no_newest_event() -> None:
    told: dict[str, Any] = {
        "rows_read": 0, "rows_written": 0, "rows_coalesced": 0, "rows_outdated": 0, "lag": {}, "newest_event": None,
        "waiting_for": "no Cassandra node answers", "event_to_row_seconds": Freshness().told(),
    }  # fmt: skip
    text = Metrics("ad-metrics", lambda: told).exposed()[0].decode()
    assert "newest_event" not in text
    assert 'adstream_apply_up{job="ad-metrics"} 0.0' in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ad-tail"], "ad-tail does not write to Cassandra alone"),
        (["sensor-averages"], "sensor-averages does not write to Cassandra alone"),
        (["no-such-job"], "no-such-job"),
        (["ad-metrics", "--skip", "place"], "--skip place is not the place of a message"),
        (["ad-metrics", "--skip", "a/0/-1"], "--skip a/0/-1 is not the place of a message"),
        (["ad-metrics", "--metrics-port", "x"], "--metrics-port x cannot be used"),
    ],
)
def test_what_cannot_be_applied_is_refused_before_any_service_is_asked(words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["apply", *words])
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
