"""Users who log in."""

from random import Random

from producer.samples import Event, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys


def event(_rng: Random, user_id: str, timestamp: int, _event_id: str) -> Event:
    """Make a login, which has no further fields."""
    return {"user_id": user_id, "timestamp": timestamp}


def _login(user_id: str, time: str) -> Event:
    return {"user_id": user_id, "timestamp": millis(f"2025-03-29T{time}Z")}


# From 10:00 5 logins, from 10:05 4, from 10:10 3: a user who logs in twice counts twice.
LOGINS = one_step(
    [
        _login("user1", "10:00:00"),
        _login("user2", "10:01:30"),
        _login("user1", "10:02:00"),
        _login("user3", "10:03:00"),
        _login("user4", "10:04:59"),
        _login("user5", "10:05:00"),
        _login("user1", "10:06:00"),
        _login("user2", "10:07:45"),
        _login("user6", "10:09:59"),
        _login("user3", "10:10:00"),
        _login("user3", "10:12:00"),
        _login("user7", "10:14:00"),
    ]
)

SOURCE = Source("logins", "logins", "user_id", event, Keys("user-"), {"logins": LOGINS})
