"""Metrics of the applying process for Prometheus; docs/metrics.md lists them. Each has the label `job`.

This module makes them from the process's figures at each request. Counting row by row in the loop would cost more than
writing a row.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from common.text.moments import to_millis
from common.text.shown import shown

_COUNTS = {
    "rows_read": ("apply_rows_read", "Rows read from the updates topic"),
    "rows_written": ("apply_rows_written", "Rows written and acknowledged"),
    "rows_coalesced": ("apply_rows_coalesced", "Rows left out because a newer one of the same key waited"),
    "rows_outdated": ("apply_rows_outdated", "Rows left out because they were not newer than what was written"),
}


class Metrics(Collector):
    """The metrics of one process; `progress` returns its figures (streaming.apply.report.figures)."""

    def __init__(self, job: str, progress: Callable[[], dict[str, Any]]) -> None:
        self._job = [shown(job)]
        self._progress = progress
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics in the format that the Accept header asks for, and its content type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def describe(self) -> list[Any]:
        """Return no metrics in advance: the figures may not exist yet."""
        return []

    def collect(self) -> Iterator[Any]:
        """Return every metric with its present value."""
        told = self._progress()
        for name, (metric, meaning) in _COUNTS.items():
            counter = CounterMetricFamily(f"adstream_{metric}", meaning, labels=("job",))
            counter.add_metric(self._job, told[name])
            yield counter
        yield self._by_partition("apply_lag_rows", "Rows of the updates topic behind the last one applied", told["lag"])
        yield self._gauge(
            "apply_up", "1 while rows reach the tables, 0 while a service is away", not told["waiting_for"]
        )
        if told["newest_event"]:
            newest = to_millis(datetime.fromisoformat(told["newest_event"])) / 1_000
            yield self._gauge("apply_newest_event_timestamp_seconds", "The newest event time in the tables", newest)
        fresh = told["event_to_row_seconds"]
        histogram = HistogramMetricFamily(
            "adstream_event_to_row_seconds", "From a row's newest event to its acknowledgement", labels=("job",)
        )
        histogram.add_metric(self._job, list(fresh["buckets"].items()), fresh["sum"])
        yield histogram

    def _gauge(self, name: str, meaning: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"adstream_{name}", meaning, labels=("job",))
        gauge.add_metric(self._job, value)
        return gauge

    def _by_partition(self, name: str, meaning: str, values: dict[str, int]) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"adstream_{name}", meaning, labels=("job", "partition"))
        for partition, value in values.items():
            gauge.add_metric([*self._job, partition], value)
        return gauge
