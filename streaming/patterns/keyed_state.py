"""Arbitrary state per key, by Spark's transformWithState; the rules of a pattern stay plain Python.

Spark hands over the rows of a key in any order. It calls timers only after a batch's rows, and never in batch mode. So
the rules never learn the time from a timer: they process a key's rows in event order and compare event times. A timer
only removes state that no row can need any more. So the result is the same before and after the timer fires.

Every call to the state is a message from Python to the JVM. So a key has one value, read and written once per batch. It
has at most one timer, set again only after it has fired.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.streaming.stateful_processor import (
    ExpiredTimerInfo,
    StatefulProcessor,
    StatefulProcessorHandle,
    TimerValues,
)
from pyspark.sql.types import LongType, StructField, StructType

LATE_ROWS = "late_rows"

State = TypeVar("State", bound=tuple[Any, ...])

# An input row: its event time in microseconds since 1970, then the values that the pattern chose.
EventRow = tuple[Any, ...]


class Taken(NamedTuple, Generic[State]):
    """The result of some rows: the new state, the rows to emit (without the key), and the number of late rows."""

    state: State
    emitted: Sequence[tuple[Any, ...]]
    late: int = 0


class KeyRules(ABC, Generic[State]):
    """The state and the output of one key. Event times are microseconds since 1970, UTC.

    `remembered` is a named tuple with the columns of `stored`, in their order. `emitted` has the columns of an emitted
    row, without the key. `lasts` describes how long a key stays, with the pattern's parameters in braces.
    """

    lasts: ClassVar[str]
    remembered: ClassVar[type[tuple[Any, ...]]]
    stored: ClassVar[StructType]
    emitted: ClassVar[StructType]

    @abstractmethod
    def take(self, state: State | None, rows: Sequence[EventRow]) -> Taken[State]:
        """Apply some rows, sorted by event time and then by their values, to the key's state, if there is one."""

    @abstractmethod
    def expires_at(self, state: State) -> int | None:
        """The event time at which the watermark makes all that can expire of the state superfluous; None: never."""

    @abstractmethod
    def expire(self, state: State, watermark: int) -> State | None:
        """Return the state without entries that no row newer than the watermark can need; None if nothing is left."""


def apply_rules(
    events: DataFrame, rules: KeyRules[Any], *, key: str, event_time: str, values: Sequence[Column]
) -> DataFrame:
    """Apply the rules to every key.

    The column `event_time` carries a watermark; Spark drops older rows. Out, for output mode update: the key, the
    columns that the rules return, and `late_rows` (bigint). `late_rows` is null, except in one extra row per key and
    batch with late rows: that row has their number, the key, and null in all other columns.
    """
    # A batch has a state store too; Spark only starts its coordinator when a session first uses streams.
    events.sparkSession.streams  # noqa: B018
    # The event time is included in Spark's own form, because Spark uses this column to find late rows.
    sent = [F.unix_micros(event_time).alias("at")]
    sent += [value.alias(f"value{position}") for position, value in enumerate(values)]
    rows = events.select(key, event_time, *sent)
    out = StructType([rows.schema[key], *rules.emitted, StructField(LATE_ROWS, LongType())])
    return rows.groupBy(key).transformWithState(
        statefulProcessor=_Processor(rules, out.names), outputStructType=out, outputMode="update", timeMode="eventTime"
    )


class _Processor(StatefulProcessor):
    """Carries rows, state and timers between Spark and the rules; Spark names the methods."""

    def __init__(self, rules: KeyRules[Any], columns: Sequence[str]) -> None:
        self._rules = rules
        self._columns = columns

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._handle = handle
        stored = StructType([*self._rules.stored, StructField("timer", LongType())])
        self._value = handle.getValueState("remembered", stored)

    def handleInputRows(  # noqa: N802
        self,
        key: tuple[Any, ...],
        rows: Iterator[Any],
        timerValues: TimerValues,  # noqa: N803
    ) -> Iterator[Row]:
        state, timer = self._read()
        # A row is the key, the event time in Spark's form, then the columns for the rules.
        taken = self._rules.take(state, sorted(tuple(row)[2:] for row in rows))
        self._keep(taken.state, timer, timerValues)
        row = Row(*self._columns)
        for values in taken.emitted:
            yield row(*key, *values, None)
        if taken.late:
            yield row(*key, *(None for _ in self._rules.emitted), taken.late)

    def handleExpiredTimer(  # noqa: N802
        self,
        key: tuple[Any, ...],  # noqa: ARG002
        timerValues: TimerValues,  # noqa: N803
        expiredTimerInfo: ExpiredTimerInfo,  # noqa: ARG002, N803
    ) -> Iterator[Row]:
        state, _ = self._read()
        if state is not None:
            self._keep(state, None, timerValues)
        return iter(())

    def _read(self) -> tuple[Any, int | None]:
        stored = self._value.get()
        if stored is None:
            return None, None
        *values, timer = stored
        return self._rules.remembered(*values), timer

    def _keep(self, state: tuple[Any, ...], timer: int | None, times: TimerValues) -> None:
        """Store the state that later rows may need.

        Call it only after a batch's rows, which may be older than the batch's watermark.
        """
        left = self._rules.expire(state, times.getCurrentWatermarkInMs() * 1000)
        if left is None:
            self._value.clear()
            return
        expiry = self._rules.expires_at(left)
        if timer is None and expiry is not None:
            timer = -(-expiry // 1000)
            self._handle.registerTimer(timer)
        self._value.update((*left, timer))
