"""Amounts that users spent, without an id: one that is sent twice counts twice."""

from random import Random

from producer.samples import MINUTE_MILLIS, Event, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

LARGEST_AMOUNT = 1_000

SAMPLE_START = "2023-07-30T10:00:00Z"
SAMPLE_RECORDS = 51
SAMPLE_USERS = 3


def event(rng: Random, user_id: str, timestamp: int, _event_id: str) -> Event:
    """Make an amount of 1 to 1000 whole units of currency."""
    return {"user_id": user_id, "amount": 1 + int(rng.random() * LARGEST_AMOUNT), "timestamp": timestamp}


# One a minute, user1, user2, user3 in turn: 100, 200, ... 5100. In all user1 42500, user2 44200, user3 45900, which is
# 132600. Each window of 3 minutes holds one amount of each user: 17 windows.
RECORDS = one_step(
    {
        "user_id": f"user{index % SAMPLE_USERS + 1}",
        "amount": 100 * (index + 1),
        "timestamp": millis(SAMPLE_START) + index * MINUTE_MILLIS,
    }
    for index in range(SAMPLE_RECORDS)
)

SOURCE = Source(
    "trx",
    "trx_data",
    "user_id",
    event,
    Keys("user-"),
    {"transaction-totals": RECORDS, "transaction-windows": RECORDS},
)
