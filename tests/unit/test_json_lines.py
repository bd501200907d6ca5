"""A job's output as JSON: one object a line, in every case."""

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyspark.sql.streaming.query import StreamingQuery

from common.errors import SinkError
from streaming.monitoring.json_lines import json_lines
from tests.unit.test_endpoint import BATCH, PROGRESS

QUERY = cast("StreamingQuery", SimpleNamespace(id=PROGRESS["id"], runId=PROGRESS["runId"]))


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_batch_is_a_line_with_its_figures() -> None:
    out = io.StringIO()
    with json_lines("ad-metrics", out) as listener:
        listener.polled(QUERY)
        listener.batch(BATCH)
    [line] = lines(out)
    figures = {name: line[name] for name in ("events", "rows", "late", "dead", "dead_by_reason", "lag", "watermark")}
    assert figures == {
        "events": 1_000,
        "rows": 50,
        "late": 20,
        "dead": 3,
        "dead_by_reason": {"empty": 2, "short": 1},
        "lag": 50,
        "watermark": "2026-01-01T00:00:10.000Z",
    }
    assert line["message"] == str(BATCH)
    assert (line["job"], line["level"], line["batch_id"]) == ("ad-metrics", "info", 7)
    assert (line["query_id"], line["run_id"]) == (PROGRESS["id"], PROGRESS["runId"])


def test_notices_are_warnings_from_a_failed_attempt_to_the_next_batch() -> None:
    out = io.StringIO()
    with json_lines("ad-metrics", out) as listener:
        listener.notice("reading from ads")
        listener.failed("Cassandra is away")
        listener.notice('batch failed (1 of 5): "Cassandra"\nis away')
        listener.notice("looking for messages that are the cause")
        listener.batch(BATCH)
        listener.notice("stopping after the running batch")
    assert [(line["level"], line["batch_id"]) for line in lines(out)] == [
        ("info", None), ("warning", None), ("warning", None), ("info", 7), ("info", None),
    ]  # fmt: skip
    assert lines(out)[0]["query_id"] is None
    assert lines(out)[1]["message"] == 'batch failed (1 of 5): "Cassandra"\nis away'


def test_the_error_that_ends_the_job_is_a_line_and_still_an_error() -> None:
    out = io.StringIO()
    with pytest.raises(SinkError), json_lines("ad-metrics", out):
        raise SinkError("Cassandra is away", "start it")
    assert [(line["level"], line["message"]) for line in lines(out)] == [("error", "Cassandra is away; start it")]
