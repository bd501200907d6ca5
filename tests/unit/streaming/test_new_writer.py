"""Messages of a schema that is not in the plan are dead letters, unless the registry has the schema by now."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from common.avro import wire
from common.reasons import EMPTY, UNKNOWN_SCHEMA_ID
from common.registry.writers import MOST_ASKED
from streaming.events.unknown_ids import other_ids
from streaming.lateness.counts import Late
from streaming.micro_batch.counting import counted
from streaming.micro_batch.running_counts import Observed, counts_of
from streaming.micro_batch.writer import BatchWriter, NewWriterSchema

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(("new", "stops_for"), [(set(), None), ({9}, "id 9"), ({9, 7}, "ids 7, 9")])
def test_only_a_message_of_a_schema_that_the_registry_knows_stops_the_batch(
    spark: SparkSession, new: set[int], stops_for: str | None
) -> None:
    rows = [(wire.header(7) + b"a", UNKNOWN_SCHEMA_ID), (wire.header(9) + b"b", UNKNOWN_SCHEMA_ID), (b"", EMPTY)]
    judged = spark.createDataFrame([*rows, (wire.header(1) + b"c", None)], "value binary, outcome string")
    published: list[int] = []
    asked: list[int] = []

    def registered(_batch_id: int, ids: Sequence[int]) -> set[int]:
        asked.extend(ids)
        return new

    def publish(dead: DataFrame) -> None:
        published.append(dead.count())

    write = BatchWriter(
        write=lambda _rows, _stamp: 1,
        observed=lambda: Observed(dead=3, unknown=2, unknown_ids=(9, 7)),
        keep_late=lambda _batch_id, _seen, _stamp: Late(),
        reread=lambda _batch_id: judged,
        publish=publish,
        registered=registered,
        timestamps=lambda: 1,
        still_there=lambda: None,
        stopping=threading.Event(),
        clock=lambda: NOW,
    )
    if stops_for is None:
        write(judged, 0)
        assert published == [3]
    else:
        with pytest.raises(NewWriterSchema, match=f"^schema {stops_for}$"):
            write(judged, 0)
        assert published == []
    assert asked == [9, 7]


@pytest.mark.parametrize("count", [0, 3, MOST_ASKED, 10 * MOST_ASKED])
def test_a_batch_tells_its_unknown_ids_the_most_frequent_first(spark: SparkSession, count: int) -> None:
    rows = [(wire.header(number + 5) + b"x", UNKNOWN_SCHEMA_ID) for number in range(count)]
    frequent = [(wire.header(2**31 + number) + b"y", UNKNOWN_SCHEMA_ID) for number in (1, 1, 1, 2, 2)]
    known = [(wire.header(1) + b"c", None), (b"", EMPTY), (b"{}", "late")]
    places = [("topic", 0, 1, (NOW,)) for _ in range(len(rows) + len(frequent) + len(known))]
    judged = spark.createDataFrame(
        [(*row, *place) for row, place in zip([*rows, *frequent, *known], places, strict=True)],
        "value binary, outcome string, topic string, partition int, offset long, event struct<timestamp: timestamp>",
    )
    events = counted(judged)
    assert len(events.collect()) == 1
    seen = counts_of(events._jdf.queryExecution())
    found = seen.unknown_ids
    assert (seen.messages, seen.late, seen.unknown) == (count + 8, 1, count + 5)
    assert seen.dead_by_reason == {UNKNOWN_SCHEMA_ID: count + 5, EMPTY: 1}
    assert found[:2] == (2**31 + 1, 2**31 + 2)
    assert len(found) == min(MOST_ASKED, count + 2)
    assert set(found[2:]) <= {number + 5 for number in range(count)}


def test_the_batch_itself_tells_which_ids_come_first(spark: SparkSession) -> None:
    """Among equally frequent ids, the smallest come first: registries count up from one."""
    numbers = [*range(900_000, 900_150), 900_007, 900_007, 45, 3, 3, 44]
    rows = [(wire.header(number) + b"x",) for number in numbers]
    messages = spark.createDataFrame([*rows, (b"{}",), (b"",)], "value binary").repartition(3)
    assert other_ids(messages, {3}, 4) == [900_007, 44, 45, 900_000]
    assert other_ids(messages, {3}, 4, largest=45) == [44, 45]
