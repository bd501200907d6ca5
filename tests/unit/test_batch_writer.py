"""A batch is written when its rows and its late events are. Only results of recent batches stay in memory."""

import threading
from typing import Any, cast

import pytest
from pyspark.sql import DataFrame

from common.errors import SinkError
from streaming.lateness.counts import Late
from streaming.micro_batch.running_counts import Observed
from streaming.micro_batch.writer import BatchWriter
from streaming.sinks.sink import Stamp

ROWS = cast("DataFrame", None)


def writer(kept: list[Any], *, fails: bool = False) -> BatchWriter:
    def keep_late(batch_id: int, seen: Observed, stamp: Stamp) -> Late:
        if fails:
            raise SinkError("Cassandra is away")
        kept.append((batch_id, seen.late, stamp.micros))
        return Late(seen.late)

    return BatchWriter(
        write=lambda _rows, _stamp: 5,
        observed=lambda: Observed(late=3),
        keep_late=keep_late,
        reread=lambda _batch_id: None,
        publish=lambda _dead: None,
        registered=lambda _batch_id, _ids: set(),
        timestamps=lambda: 42,
        still_there=lambda: None,
        stopping=threading.Event(),
    )


def test_late_events_are_written_with_the_timestamp_of_their_batch() -> None:
    kept: list[Any] = []
    batch = writer(kept)
    batch(ROWS, 7)
    assert kept == [(7, 3, 42)]
    assert (batch.written[7].rows, batch.written[7].late, batch.written[7].stamp.micros) == (5, Late(3), 42)


def test_a_batch_whose_late_events_cannot_be_written_is_not_done() -> None:
    batch = writer([], fails=True)
    with pytest.raises(SinkError, match="Cassandra is away"):
        batch(ROWS, 7)
    assert isinstance(batch.error, SinkError)
    assert batch.written == {}


def test_what_old_batches_left_behind_is_forgotten() -> None:
    batch = writer([])
    for batch_id in range(150):
        batch(ROWS, batch_id)
    assert list(batch.written) == list(range(50, 150))
