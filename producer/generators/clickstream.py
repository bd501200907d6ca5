"""The actions of users on a site: mostly views, now and then an error."""

from bisect import bisect
from itertools import accumulate
from random import Random

from producer.samples import Event, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

WEIGHTS = {"view": 70, "click": 22, "purchase": 5, "error": 3}
_EVENTS = tuple(WEIGHTS)
_CUMULATED = tuple(accumulate(WEIGHTS.values()))


def event(rng: Random, user_id: str, timestamp: int, _event_id: str) -> Event:
    """Make a view, click, purchase or error, as often as `WEIGHTS` say."""
    what = _EVENTS[bisect(_CUMULATED, rng.random() * _CUMULATED[-1], hi=len(_EVENTS) - 1)]
    return {"user_id": user_id, "event": what, "eventtimestamp": timestamp}


def _did(user_id: str, time: str, what: str = "click", seconds: int = 0) -> Event:
    at = millis(f"2023-07-30T{time}Z") + seconds * 1_000
    return {"user_id": user_id, "event": what, "eventtimestamp": at}


_CLICKS = [
    _did("user1", "10:00:00"),
    _did("user1", "10:00:20"),
    _did("user2", "10:01:00"),
    _did("user1", "10:01:20"),
    _did("user2", "10:02:00"),
]

# Minute 10:00 user1 2; 10:01 user1 1, user2 1; 10:02 user2 1. As sessions: user1 10:00:00 to 10:00:20 with 2 events,
# and three of one event.
CLICKS = one_step(_CLICKS)

# The same sessions: the last event lets the watermark pass their ends, also with a gap of half an hour. Its own session
# stays open, so the job does not emit `closing`.
SESSIONS = one_step([*_CLICKS, _did("closing", "11:00:00")])

# Users in the hour from 09:30: 3; from 10:00: 4; from 10:30: 4; from 11:00: 2.
VISITS = one_step(
    [
        _did("user1", "10:00:00", "view"),
        _did("user2", "10:05:00", "view"),
        _did("user1", "10:10:00"),
        _did("user3", "10:20:00", "view"),
        _did("user2", "10:30:00", "view"),
        _did("user4", "10:40:00", "view"),
        _did("user4", "10:41:00", "purchase"),
        _did("user2", "10:50:00"),
        _did("user5", "11:00:00", "view"),
        _did("user1", "11:15:00", "view"),
        _did("user5", "11:20:00"),
    ]
)

# 102 errors from 10:00 to 10:15 raise one alert. From 10:15 to 10:30 there are 105 events, but only 100 errors: none.
ERRORS = one_step(
    sorted(
        [
            *(_did(f"user{nth % 5 + 1}", "10:00:00", "error", 8 * nth) for nth in range(102)),
            *(_did(f"user{nth % 5 + 1}", "10:15:00", "error", 9 * nth) for nth in range(100)),
            *(_did(f"user{nth + 1}", "10:20:00", "view", nth) for nth in range(5)),
        ],
        key=lambda did: did["eventtimestamp"],
    )
)

SOURCE = Source(
    "clickstream",
    "clickstream",
    "user_id",
    event,
    Keys("user-"),
    {
        "user-clicks": CLICKS,
        "user-sessions": CLICKS,
        "session-windows": SESSIONS,
        "unique-visitors": VISITS,
        "error-alerts": ERRORS,
    },
)
