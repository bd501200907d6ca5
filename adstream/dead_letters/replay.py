"""Replay dead letters to their topic: check that they can be used now, send, wait for the acknowledgement, mark.

Contract: a letter is marked only after Kafka acknowledged it. So a crash in between loses nothing, and the next replay
sends it again: at least once. Events with an id still count once (docs/decisions/0016).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.letters import Headers, Letter, Mark, Marks, Place, iso
from adstream.dead_letters.repair import repaired
from adstream.dead_letters.topic_readers import TopicReader, reader_of
from common.dead_letter_headers import REPLAYED_FROM
from common.errors import DeliveryFailed, ReplayRefused
from common.kafka import (
    UNHEARD,
    ClientErrors,
    client_config,
    create_topics,
    fatal,
    kafka_error,
    require_topic,
    taken_settings,
)
from common.provision import marks_spec
from common.registry import RegistryClient
from common.registry.writers import Writers
from common.settings import Settings

CHUNK = 500
DELIVERY_TIMEOUTS = 3  # in units of the Kafka timeout: time for a broker to restart


@dataclass(frozen=True)
class Outgoing:
    """A letter that can be used now: the `value` to send, the fields `changed` in it, and its lateness, `late`."""

    letter: Letter
    value: bytes
    changed: Mapping[str, str]
    late_by: timedelta | None


@dataclass
class Plan:
    """The fate of the letters: `outgoing`, `refused` with the reason, and letters replayed `before`."""

    outgoing: list[Outgoing] = field(default_factory=list)
    refused: list[tuple[Letter, str]] = field(default_factory=list)
    before: list[tuple[Letter, Mark]] = field(default_factory=list)


class Checker:
    """Decides how a topic's own reader would treat a message now. Asks the registry once for each topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = RegistryClient(settings.registry)
        self._known: dict[tuple[str, str], tuple[TopicReader, Diagnoser]] = {}

    def of(self, letter: Letter) -> tuple[TopicReader, Diagnoser]:
        """Return the checks of a letter's topic.

        Raises ConfigError if no job reads the topic, ServiceUnavailable, AccessDenied.
        """
        topic, job = letter.place.topic, letter.job
        if (topic, job) not in self._known:
            reader = reader_of(self._settings, job, topic)
            writers = Writers(self._registry, topic, others=self._settings.registry.other_subjects)
            diagnoser = Diagnoser.asking(writers, reader.contract, takes_json=reader.takes_json)
            self._known[topic, job] = reader, diagnoser
        return self._known[topic, job]


def plan(letters: Iterable[Letter], marks: Marks, checker: Checker, changes: Mapping[str, str], now: datetime) -> Plan:
    """Decide the fate of each letter. Raises ConfigError for a change that no event of its schema can take."""
    decided = Plan()
    for letter in letters:
        mark = marks.of(letter)
        if mark is not None:
            decided.before.append((letter, mark))
            continue
        try:
            decided.outgoing.append(_outgoing(letter, checker, changes, now))
        except ReplayRefused as refused:
            decided.refused.append((letter, refused.problem))
    return decided


def _outgoing(letter: Letter, checker: Checker, changes: Mapping[str, str], now: datetime) -> Outgoing:
    reader, diagnose = checker.of(letter)
    millis = int(now.timestamp() * 1_000)
    value = letter.value or b""
    found = diagnose(letter.value, letter.headers, millis)
    if changes:
        value = repaired(value, found, changes, reader.contract, now)
        found = diagnose(value, letter.headers, millis)
    if found.reason is not None or found.event is None:
        raise ReplayRefused(f"{found.reason}: {found.problem}", f"see `adstream dead-letters explain {letter.place}`")
    age = timedelta(milliseconds=millis - found.event[reader.contract.time_field])
    late_by = age - reader.lateness if reader.lateness is not None and age > reader.lateness else None
    return Outgoing(letter, value, changes, late_by)


def send(
    settings: Settings,
    outgoing: Sequence[Outgoing],
    clock: Callable[[], datetime],
    sent: Callable[[Letter, Mark], None] = lambda _letter, _mark: None,
) -> int:
    """Send each letter once, mark it, and report it to `sent`.

    Returns their number. Raises DeliveryFailed, TopicNotFound. After DeliveryFailed the acknowledged letters are
    marked, and the rest can be replayed again.
    """
    for topic in sorted({each.letter.place.topic for each in outgoing}):
        require_topic(settings, topic)
    create_topics(settings, [marks_spec(settings)])
    sender = Sender(settings)
    done = 0
    for start in range(0, len(outgoing), CHUNK):
        chunk = outgoing[start : start + CHUNK]
        arrived = sender.deliver([_message(each) for each in chunk])
        failure = sender.failure
        marks = [
            (each.letter, Mark(iso(clock()), str(to), iso(each.letter.timestamp), dict(each.changed)))
            for each, to in zip(chunk, arrived, strict=True)
            if to is not None
        ]
        done += _mark(settings, sender, marks, sent)
        if failure is not None:
            problem = sender.explain(failure)
            raise DeliveryFailed(f"{done} of {len(outgoing)} were sent: {problem}", "replay the rest once more")
    return done


def _mark(
    settings: Settings, sender: "Sender", marks: list[tuple[Letter, Mark]], sent: Callable[[Letter, Mark], None]
) -> int:
    topic = marks_spec(settings).name
    records = [
        Outbound(topic, str(letter.place).encode(), json.dumps(asdict(mark)).encode(), []) for letter, mark in marks
    ]
    unmarked = []
    for (letter, mark), place in zip(marks, sender.deliver(records), strict=True):
        if place is None:
            unmarked.append(str(letter.place))
        else:
            sent(letter, mark)
    if unmarked and sender.failure is not None:
        raise DeliveryFailed(
            f"{len(unmarked)} were sent but not marked ({unmarked[0]} first): {sender.explain(sender.failure)}",
            "another replay of these sends them a second time",
        )
    return len(marks)


def _message(each: Outgoing) -> "Outbound":
    letter = each.letter
    headers = [*letter.headers, (REPLAYED_FROM, str(letter.place).encode())]
    return Outbound(letter.place.topic, letter.key, each.value, headers)


@dataclass(frozen=True)
class Outbound:
    """One record to send."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


class Sender:
    """An idempotent producer; all replicas acknowledge.

    `failure` is the cause of undelivered records of the last `deliver`.
    """

    def __init__(self, settings: Settings) -> None:
        timeout = settings.kafka.timeout_seconds
        self._errors = ClientErrors(settings.kafka)
        self._wait = (DELIVERY_TIMEOUTS + 1) * timeout
        self.failure: KafkaError | None = None
        config = client_config(settings.kafka, self._errors) | {
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",  # the Java client's: the same key is in the same partition everywhere
            "message.max.bytes": settings.topic.max_message_bytes,
            "request.timeout.ms": int(timeout * 1_000),
            "message.timeout.ms": int(DELIVERY_TIMEOUTS * timeout * 1_000),
            "logger": UNHEARD,
        }
        with taken_settings():
            self._producer = Producer(config)

    def deliver(self, records: Sequence[Outbound]) -> list[Place | None]:
        """Send and wait. Returns the new place of each record, or None for one without acknowledgement."""
        self.failure = None
        places: list[Place | None] = [None] * len(records)
        for number, record in enumerate(records):
            report = partial(self._arrived, places, number)
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=record.headers,  # type: ignore[arg-type]  # a header's value may be null
                    on_delivery=report,
                )
            except KafkaException as error:
                self.failure = kafka_error(error)
        try:
            if self._producer.flush(self._wait):
                self.failure = self.failure or KafkaError(KafkaError._TIMED_OUT)
        except (KafkaException, SystemError) as error:
            self.failure = fatal(error)
        return places

    def explain(self, failure: KafkaError) -> str:
        return self._errors.explain(failure).problem

    def _arrived(self, places: list[Place | None], number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failure = self.failure or error
        else:
            places[number] = Place(message.topic() or "", message.partition() or 0, message.offset() or 0)
