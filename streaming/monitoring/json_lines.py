"""A job's lines as JSON objects, for programs that collect logs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from pyspark.sql.streaming.query import StreamingQuery

from common.errors import AdstreamError
from streaming.micro_batch.progress import BatchReport, figures, iso
from streaming.monitoring.listener import Listener


@contextmanager
def json_lines(job: str, out: TextIO) -> Iterator[Listener]:
    """Yield a listener that writes to `out`.

    The error that ends the job also becomes a line, and is raised again.
    """
    lines = _Lines(job, out)
    try:
        yield Listener(batch=lines.batch, notice=lines.notice, polled=lines.polled, failed=lines.failed)
    except AdstreamError as error:
        lines.write("error", str(error))
        raise


class _Lines:
    """The lines of one job.

    `query_id` and `run_id` are null before the first query, `batch_id` in all lines but a batch's.
    """

    def __init__(self, job: str, out: TextIO) -> None:
        self._job = job
        self._out = out
        self._query: StreamingQuery | None = None
        self._ids: tuple[str | None, str | None] = (None, None)
        self._level = "info"

    def batch(self, report: BatchReport) -> None:
        self._level = "info"
        told = figures(report, datetime.now(UTC))
        self.write("warning" if report.alarm else "info", str(report), told)

    def notice(self, line: str) -> None:
        self.write(self._level, line)

    def polled(self, query: StreamingQuery) -> None:
        if query is not self._query:
            self._query, self._ids = query, (str(query.id), str(query.runId))

    def failed(self, _reason: str) -> None:
        """Raise the level of notices to warning, until a batch is committed again."""
        self._level = "warning"

    def write(self, level: str, message: str, figures: dict[str, Any] | None = None) -> None:
        query_id, run_id = self._ids
        line = {
            "at": iso(datetime.now(UTC)),
            "level": level,
            "job": self._job,
            "query_id": query_id,
            "run_id": run_id,
            "batch_id": None,
            "message": message,
            **(figures or {}),
        }
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()
