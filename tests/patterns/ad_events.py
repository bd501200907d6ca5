"""Ad events for tests of the pattern, made from a seed: as rows of the contract, and as the oracle's messages."""

import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pyspark.sql import types as T

from adstream.verify.judge import Judged

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCHEMA = T.StructType(
    [
        T.StructField("ad_id", T.StringType()),
        T.StructField("timestamp", T.TimestampType()),
        T.StructField("clicks", T.IntegerType()),
        T.StructField("views", T.IntegerType()),
        T.StructField("cost", T.DoubleType()),
        T.StructField("event_id", T.StringType()),
        T.StructField("position", T.StringType()),
    ]
)


class Event(NamedTuple):
    """One ad event, with the fields of SCHEMA."""

    ad_id: str
    timestamp: datetime
    clicks: int
    views: int
    cost: float
    event_id: str | None
    position: str

    def as_message(self) -> Judged:
        return Judged(
            0,
            int(self.position),
            "counted",
            self.ad_id,
            round(self.timestamp.timestamp() * 1_000),
            self.clicks,
            self.views,
            round(self.cost * 1_000_000),
            self.event_id or None,
        )


def random_events(rng: random.Random, count: int) -> list[Event]:
    """Return events of the five minutes before NOW, all on time. One in ten repeats an earlier id."""
    events: list[Event] = []
    for number in range(count):
        event = Event(
            f"ad-{rng.randrange(5)}",
            NOW - timedelta(milliseconds=rng.randrange(300_000)),
            rng.randrange(5),
            rng.choice([0, 0, 1, 7, 50]),
            rng.randrange(3_000_000) / 1_000_000,
            rng.choice([None, "", f"id-{number}"]),
            str(number),
        )
        known = [old for old in events if old.event_id]
        if known and rng.random() < 0.1:
            event = rng.choice(known)._replace(position=str(number))
        events.append(event)
    return events
