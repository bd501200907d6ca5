"""Messages of a schema that the plan does not know are dead letters, unless the schema has been registered since."""

import threading
from datetime import UTC, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from adstream import wire
from adstream.reasons import EMPTY, UNKNOWN_SCHEMA_ID
from streaming.batch import BatchWriter, NewWriterSchema
from streaming.late import Late
from streaming.observed import Observed


@pytest.mark.parametrize(("new", "stops_for"), [(set(), None), ({8}, None), ({8, 9}, 9)])
def test_only_a_message_of_a_schema_registered_since_stops_the_batch(
    spark: SparkSession, new: set[int], stops_for: int | None
) -> None:
    rows = [(wire.header(7) + b"a", UNKNOWN_SCHEMA_ID), (wire.header(9) + b"b", UNKNOWN_SCHEMA_ID), (b"", EMPTY)]
    judged = spark.createDataFrame([*rows, (wire.header(1) + b"c", None)], "value binary, outcome string")
    published: list[int] = []

    def publish(dead: DataFrame) -> None:
        published.append(dead.count())

    write = BatchWriter(
        write=lambda _rows, _stamp: 1,
        observed=lambda: Observed(dead=3, unknown=2),
        keep_late=lambda _batch_id, _seen, _stamp: Late(),
        reread=lambda _batch_id: judged,
        publish=publish,
        registered_since=lambda: new,
        timestamps=lambda: 1,
        stopping=threading.Event(),
        clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
    )
    if stops_for is None:
        write(judged, 0)
        assert published == [3]
    else:
        with pytest.raises(NewWriterSchema, match=rf"\[{stops_for}\]"):
            write(judged, 0)
        assert published == []
