"""Sessions of each user, by arbitrary state: the rules that `session_windows` leaves to Spark, written out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructType

from streaming.patterns.arguments import Gap, StateWatermark
from streaming.patterns.buckets import microseconds
from streaming.patterns.event_time import interval
from streaming.patterns.keyed_state import LATE_ROWS, EventRow, KeyRules, Taken, apply_rules

GAP = timedelta(seconds=30)
WATERMARK = timedelta(minutes=10)


class Session(NamedTuple):
    """A user's newest session: the event times of its first and last event, and how many there are."""

    start: int
    last: int
    events: int


class UserSessions(KeyRules[Session]):
    """Rows are (event time,). A session ends when more than `gap` microseconds follow its last event."""

    lasts = "until the watermark is {gap} past the session's last event"
    remembered = Session
    stored = StructType().add("start", LongType()).add("last", LongType()).add("events", LongType())
    emitted = stored

    def __init__(self, gap: int) -> None:
        self._gap = gap

    def take(self, state: Session | None, rows: Sequence[EventRow]) -> Taken[Session]:
        session = state or Session(rows[0][0], rows[0][0], 0)
        changed: list[Session] = []
        late = 0
        for (at,) in rows:
            if at < session.last:
                late += 1
                continue
            if at - session.last > self._gap:
                session = Session(at, at, 0)
            session = Session(session.start, at, session.events + 1)
            if changed and changed[-1].start == session.start:
                changed.pop()
            changed.append(session)
        return Taken(session, changed, late)

    def expires_at(self, state: Session) -> int:
        return state.last + self._gap

    def expire(self, state: Session, watermark: int) -> Session | None:
        return None if self.expires_at(state) <= watermark else state


def user_sessions(clicks: DataFrame, *, gap: Gap = GAP, watermark: StateWatermark = WATERMARK) -> DataFrame:
    """Group each user's events into sessions: events at most `gap` apart (exactly `gap` is the same session).

    In: `user_id` (string), `eventtimestamp` (timestamp, UTC). Out, a row per session with new events: `user_id`,
    `session_start`, `session_end` (timestamps, UTC, of the first and the last event), `duration_seconds` (double),
    `events` (bigint), and `late_rows` (bigint). `late_rows` is null, except in an extra row with a user's number of
    late events: those older than an event of an earlier batch, which are ignored.
    """
    timely = clicks.withWatermark("eventtimestamp", interval(watermark))
    rules = UserSessions(microseconds(gap))
    return apply_rules(timely, rules, key="user_id", event_time="eventtimestamp", values=[]).select(
        "user_id",
        F.timestamp_micros("start").alias("session_start"),
        F.timestamp_micros("last").alias("session_end"),
        ((F.col("last") - F.col("start")) / 1_000_000).alias("duration_seconds"),
        "events",
        LATE_ROWS,
    )
