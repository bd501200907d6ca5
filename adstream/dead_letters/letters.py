"""The dead-letter topic for its readers: each message once, by its place in its own topic.

The job writes letters (streaming.sinks.dead_letters): the original's key, value and headers, followed by our headers
(common.dead_letter_headers). A replayed batch publishes its letters again, and two jobs over one topic publish the same
letters. The place (topic, partition, offset) identifies copies, and the newest copy counts.

Marks of replayed letters are in a compacted topic, `<dead-letter topic>.replayed`. The key is the place, and the value
says when and where the letter was sent (docs/decisions/0016).
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message

from common.dead_letter_headers import JOB, OFFSET, PARTITION, REASON, SCHEMA_ID, TIMESTAMP, TOPIC
from common.errors import BadInput, ConfigError, TopicNotFound
from common.provision import marks_spec
from common.settings import Settings
from common.text.nearest import did_you_mean
from consumer.debug import DebugConsumer

Headers = list[tuple[str, bytes | None]]

_PLACE = re.compile(
    r"(?:(?P<topic>[A-Za-z0-9._-]+?)(?:/|:|-|\s*\[))?(?P<partition>\d+)(?:/|:|\]?\s*@)(?P<offset>\d+)", re.ASCII
)


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """The place of a message, written `ads_data/1/4711`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: its place, its `reason`, and the broker time of the original (`timestamp`, UTC).

    `schema_id` comes from the value's header, if it has one. `size` is the number of the value's bytes. `job` is the
    last job to publish the letter, `published` the time (UTC), and `copies` the number of its copies. `headers` are
    only the original's headers. `key`, `value` and `headers` are empty in a list.
    """

    place: Place
    reason: str
    timestamp: datetime
    schema_id: int | None
    job: str
    size: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    published: datetime
    copies: int = 1


@dataclass(frozen=True)
class Mark:
    """The mark of a replayed letter: when and to which place it was sent, and the changed fields.

    `original` is the broker time of the letter's original, because a topic that was deleted and created again has the
    same places. Times are ISO 8601, UTC.
    """

    at: str
    to: str
    original: str
    changed: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """A selection of letters: by topic, reason, and broker time of the original from `start` to `end` (UTC).

    `job` and `since` choose among copies: only copies that this job published, at that time or later.
    """

    topic: str | None = None
    reason: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    places: frozenset[Place] = frozenset()
    job: str | None = None
    since: datetime | None = None

    def __call__(self, letter: Letter) -> bool:
        return (
            (not self.places or letter.place in self.places)
            and self.topic in (None, letter.place.topic)
            and self.reason in (None, letter.reason)
            and self.job in (None, letter.job)
            and (self.since is None or letter.published >= self.since)
            and (self.start is None or letter.timestamp >= self.start)
            and (self.end is None or letter.timestamp < self.end)
        )


def parse_place(text: str, default_topic: str) -> Place:
    """Parse `ads_data/1/4711`.

    Also takes `ads_data:1:4711`, `ads_data [1] @4711` as `adstream consume` prints it, and `1/4711`. Raises
    ConfigError.
    """
    match = _PLACE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a place", "write topic/partition/offset, like ads_data/1/4711")
    return Place(match["topic"] or default_topic, int(match["partition"]), int(match["offset"]))


def read(settings: Settings, wanted: Wanted, *, whole: bool) -> dict[Place, Letter]:
    """Return the letters that are `wanted`, by place. Key, value and headers only with `whole`.

    Raises TopicNotFound, ServiceUnavailable, AccessDenied.
    """
    found: dict[Place, Letter] = {}
    for message in everything(settings, settings.topic.dead_letters):
        letter = letter_of(message)
        if letter is None or not wanted(letter):
            continue
        before = found.get(letter.place)
        again = before is not None and before.timestamp == letter.timestamp
        kept = letter if whole else replace(letter, key=None, value=None, headers=[])
        found[letter.place] = replace(kept, copies=before.copies + 1) if before and again else kept
    return found


def letter_of(message: Message) -> Letter | None:
    """Parse a message of the dead-letter topic. Returns None if it is not one of ours."""
    headers: Headers = [(name, _bytes(value)) for name, value in message.headers() or []]
    # Our headers follow the original's. The original may be a replayed letter, with headers of the same names.
    begin = max((at for at, (name, _) in enumerate(headers) if name == REASON), default=None)
    if begin is None:
        return None
    ours = {name: (value or b"").decode(errors="replace") for name, value in headers[begin:]}
    try:
        return Letter(
            place=Place(ours[TOPIC], int(ours[PARTITION]), int(ours[OFFSET])),
            reason=ours[REASON],
            timestamp=datetime.fromisoformat(ours[TIMESTAMP]),
            schema_id=int(ours[SCHEMA_ID]) if SCHEMA_ID in ours else None,
            job=ours.get(JOB, ""),
            size=len(_bytes(message.value()) or b""),
            key=_bytes(message.key()),
            value=_bytes(message.value()),
            headers=headers[:begin],
            published=datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC),
        )
    except (KeyError, ValueError):
        return None


def missing(place: Place, known: dict[Place, Letter]) -> BadInput:
    """Return the error for a place that no dead letter has."""
    near = did_you_mean(str(place), map(str, known), "`adstream dead-letters list` shows those there are")
    return BadInput(f"there is no dead letter from {place}", near)


class Marks:
    """The marks of all replayed letters."""

    def __init__(self, by_place: Mapping[str, Mark]) -> None:
        self._by_place = by_place

    @classmethod
    def read(cls, settings: Settings) -> "Marks":
        """Read all marks; none while their topic does not exist. Raises BadInput for an unreadable mark."""
        found: dict[str, Mark] = {}
        topic = marks_spec(settings).name
        try:
            for message in everything(settings, topic):
                key, value = _bytes(message.key()) or b"", _bytes(message.value())
                try:
                    found[key.decode()] = Mark(**json.loads(value or b""))
                except (ValueError, TypeError):
                    raise BadInput(
                        f"offset {message.offset()} of {topic} is not a mark of ours", "find out who writes there"
                    ) from None
        except TopicNotFound:
            return cls({})
        return cls(found)

    def of(self, letter: Letter) -> Mark | None:
        mark = self._by_place.get(str(letter.place))
        return mark if mark and mark.original == iso(letter.timestamp) else None


def iso(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC, with milliseconds, as the job does."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def everything(settings: Settings, topic: str) -> Iterator[Message]:
    """Return all present records of a topic. Raises TopicNotFound, ServiceUnavailable, AccessDenied."""
    with closing(DebugConsumer(settings, topic, group=None, from_start=True)) as consumer:
        for batch in consumer.batches(threading.Event(), to_end=True):
            yield from batch


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
