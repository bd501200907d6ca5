"""Read the counts of the running batch before its commit.

Spark's progress has observed metrics only after the commit, but dead letters must be published before it. The running
batch's execution has the same numbers once its rows have been computed.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from common.registry.writers import MOST_ASKED
from streaming.lateness.counts import Pairs, pairs_of

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Observed:
    """Counts of the batch's messages: late, dead, and dead with a schema id unknown to the plan.

    `messages` counts all events. In a folder Spark counts a file as one row, and offsets include marks of transactions;
    both are excluded here. `unknown_ids` are ids unknown to the plan, the most frequent first, at most
    common.registry.writers.MOST_ASKED. At that number, any of the equally frequent ones may be missing. `late_pairs`
    are the late messages by window and delay, if the job decides lateness (streaming.lateness.counts). `dead_by_reason`
    has reason -> dead messages.
    """

    late: int = 0
    dead: int = 0
    unknown: int = 0
    unknown_ids: tuple[int, ...] = ()
    late_pairs: Pairs = field(default_factory=dict)
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    messages: int = 0


class RunningBatch:
    """The batch that a query works on. `started` names the query, which exists only once it runs."""

    def __init__(self) -> None:
        self._query: StreamingQuery | None = None
        self._known = threading.Event()

    def started(self, query: StreamingQuery) -> None:
        self._query = query
        self._known.set()

    def __call__(self) -> Observed:
        """Return the counts so far. Call this from foreachBatch, after the rows were computed."""
        self._known.wait(_START_SECONDS)
        if self._query is None:
            raise AssertionError("foreachBatch ran without a query")
        # PySpark has no access to a running batch's metrics.
        return counts_of(self._query._jsq.streamingQuery().lastExecution())


def counts_of(execution: Any) -> Observed:  # noqa: ANN401 - a QueryExecution of Spark
    """Return the counts of a plan of streaming.micro_batch.pipeline, once its rows were computed."""
    metrics = execution.observedMetrics()
    return observed_in(_metric(metrics, "judged"), _metric(metrics, "late"))


def observed_in(judged: Mapping[str, Any], late: Mapping[str, Any]) -> Observed:
    """Return the same counts from the two metrics as parsed JSON, as a committed batch's progress has them."""
    return Observed(
        judged.get("late", 0) + (late.get("late") or 0),
        judged.get("dead", 0),
        judged.get("unknown", 0),
        tuple(each["item"] for each in judged.get("unknown_ids", []) if each.get("item") is not None)[:MOST_ASKED],
        pairs_of(judged.get("late_by_window", [])),
        {each["item"]: each["count"] for each in judged.get("dead_by_reason", []) if each.get("item")},
        judged.get("messages", 0),
    )


def _metric(metrics: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - a Scala map of rows
    found = metrics.get(name)
    return json.loads(found.get().json()) if found.isDefined() else {}
