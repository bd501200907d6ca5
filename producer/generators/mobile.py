"""An app that is opened and closed on phones."""

from random import Random

from producer.samples import Event, Sample
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys


def event(rng: Random, phone: str, timestamp: int, _event_id: str) -> Event:
    """Make an open or a close action. Some users never close the app, so opens are a little more frequent."""
    return {"id": phone, "action": "open" if rng.random() < 0.55 else "close", "ts": timestamp}


def _action(phone: str, action: str, time: str) -> Event:
    return {"id": phone, "action": action, "ts": millis(f"2018-03-02T{time}Z")}


# From 10:00 open 8, close 6; from 10:10 open 2. As three files.
ACTIONS = Sample(
    [
        [
            _action("phone1", "open", "10:00:10"),
            _action("phone2", "open", "10:00:35"),
            _action("phone3", "open", "10:01:20"),
            _action("phone1", "close", "10:02:00"),
            _action("phone2", "close", "10:02:40"),
            _action("phone4", "open", "10:03:15"),
        ],
        [
            _action("phone1", "open", "10:04:00"),
            _action("phone3", "close", "10:04:30"),
            _action("phone5", "open", "10:05:10"),
            _action("phone4", "close", "10:06:00"),
            _action("phone2", "open", "10:07:25"),
            _action("phone1", "close", "10:08:00"),
        ],
        [
            _action("phone5", "close", "10:09:00"),
            _action("phone3", "open", "10:09:59"),
            _action("phone1", "open", "10:10:00"),
            _action("phone4", "open", "10:12:30"),
        ],
    ]
)

SOURCE = Source("mobile", "mobile_actions", "id", event, Keys("phone-"), {"mobile-actions": ACTIONS}, json=True)
