"""Payments of users, each with an id: one that is reported twice counts once."""

from random import Random

from producer.samples import Event, Sample
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

LARGEST_AMOUNT = 500.0


def event(rng: Random, user_id: str, timestamp: int, event_id: str) -> Event:
    """Make a payment of 0.01 to 500.00 in currency."""
    amount = round(0.01 + (LARGEST_AMOUNT - 0.01) * rng.random(), 2)
    return _payment(event_id, user_id, timestamp, amount)


def _payment(transaction_id: str, user_id: str, at: int, amount: float) -> Event:
    return {"userId": user_id, "transactionId": transaction_id, "transactionTime": at, "amount": amount}


# user1 50, then 80, then 120; user2 20, then 80.
RUNNING = Sample(
    [
        [_payment("tx1001", "user1", 1_700_000_000_000, 50.0)],
        [_payment("tx1002", "user1", 1_700_000_020_000, 30.0), _payment("tx2001", "user2", 1_700_000_040_000, 20.0)],
        [_payment("tx1003", "user1", 1_700_000_060_000, 40.0), _payment("tx2002", "user2", 1_700_000_080_000, 60.0)],
    ]
)

# More than an hour after its last payment user1 starts again: 30, not 180. user2 has 200.
EXPIRING = Sample(
    [
        [
            _payment("tx3001", "user1", millis("2025-03-29T10:00:00Z"), 100.0),
            _payment("tx3002", "user1", millis("2025-03-29T10:15:00Z"), 50.0),
            _payment("tx4001", "user2", millis("2025-03-29T10:30:00Z"), 200.0),
        ],
        [_payment("tx3003", "user1", millis("2025-03-29T11:30:00Z"), 30.0)],
    ]
)

SOURCE = Source(
    "transactions",
    "transactions",
    "userId",
    event,
    Keys("user-"),
    {"running-totals": RUNNING, "expiring-totals": EXPIRING},
    json=True,
)
