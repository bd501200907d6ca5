"""Read an updates topic, as one of the processes that share its partitions.

Nothing is committed automatically: the caller says by `applied` that rows are in the tables. Until then the same rows
come again after a crash, or to the next owner of the partition.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from common import kafka, retries
from common.errors import AdstreamError, ConfigError, ServiceUnavailable, TopicNotFound, Unproved
from common.kafka import UNHEARD, ClientErrors, consumer_config, kafka_error, require_topic, taken_settings
from common.kafka.log_cuts import NO_EPOCH, Known, cut_in, still_there
from common.kafka.updates_group import applied_in, behind, committed_at, group_of
from common.settings import Settings
from streaming.apply.topic_watch import TopicWatch
from streaming.apply.updates import Place, Update, read_update

# Reading a row costs far less than writing it. A larger poll has more rows with the same key, so fewer are written.
MESSAGES_AT_ONCE = 30_000
GATHER_SECONDS = 0.004
IDLE_SECONDS = 0.25
COMMIT_SECONDS = 0.25
_ASK_SECONDS = 1.0
# A killed or frozen process loses its partitions to the others after this time.
SESSION_MILLIS = 10_000
_HEARTBEAT_MILLIS = 2_000
# The longest time of one write with all its retries. It is also longer than the applier's pause between two polls.
_POLL_MILLIS = 300_000
_QUEUE_KILOBYTES = 32_768
# By default the client pauses for a second when its queue is full.
_FULL_QUEUE_MILLIS = 20
_PASSING = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    # The topic may be gone, or its broker may be starting: the watch finds out.
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
# A static member's name is taken by a younger process.
_REPLACED = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL}


class Changelog:
    """One member of the topic's group. `member` makes it a static one, which gets its partitions back when it restarts.

    Raises TopicNotFound, ServiceUnavailable and AccessDenied, and Unproved if rows are gone that were not applied.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        member: str | None = None,
        anew: bool = False,
        skipped: Collection[Place] = (),
    ) -> None:
        """Join the topic's group.

        With `anew` each partition starts at its beginning, in spite of commits. `skipped` are messages to leave out.
        """
        require_topic(settings, topic)
        self.topic = topic
        self._settings = settings
        self._closing = False
        self._errors = ClientErrors(settings.kafka)
        self._member = member
        self._anew = anew
        self._skipped = frozenset(skipped)
        self._begun: set[int] = set()
        self._joined = False
        self._assigned: set[int] = set()
        self._next: dict[int, int] = {}
        # Of the last row before `_next`.
        self._epochs: dict[int, int] = {}
        self._kept: list[Message] = []
        self._uncommitted: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committed_at = time.monotonic()
        self._asked_at = 0.0
        self._waiting = False
        self._watch = TopicWatch(settings, topic)
        config = consumer_config(settings.kafka, self._errors) | {
            "group.id": group_of(topic),
            "logger": UNHEARD,
            "partition.assignment.strategy": "cooperative-sticky",
            # Without a commit `_assign` begins at the start. Messages behind a commit must still exist.
            "auto.offset.reset": "error",
            "session.timeout.ms": SESSION_MILLIS,
            "heartbeat.interval.ms": _HEARTBEAT_MILLIS,
            "max.poll.interval.ms": _POLL_MILLIS,
            "queued.max.messages.kbytes": _QUEUE_KILOBYTES,
            "fetch.queue.backoff.ms": _FULL_QUEUE_MILLIS,
            "on_commit": self._told_of_commit,
        }
        if member is not None:
            config["group.instance.id"] = member
        with taken_settings():
            self._consumer = Consumer(config)
        self._consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def updates(self) -> list[Update]:
        """Poll the next rows; none after a quarter of a second without any.

        Raises BadInput for a message that is no row.
        """
        self._watch.look()
        first, self._kept = self._kept or self._consume(1, IDLE_SECONDS), []
        if not first:
            return []
        return self._read([*first, *self._consume(MESSAGES_AT_ONCE - 1, GATHER_SECONDS)])

    def wait(self, seconds: float) -> None:
        """Stay in the group without reading on. Keeps messages that come all the same for the next `updates`."""
        self._watch.look()
        if not self._waiting:
            self._waiting = True
            self._consumer.pause(self._partitions(self._assigned))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._kept += self._consume(1, left)

    def go_on(self) -> None:
        """Read on after `wait`."""
        if self._waiting:
            self._waiting = False
            self._consumer.resume(self._partitions(self._assigned))

    def applied(self) -> None:
        """Record that all rows read so far are in the tables. Commits now and then."""
        self._uncommitted |= {
            number: offset for number, offset in self.positions().items() if self._committed.get(number) != offset
        }
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._committed_at = time.monotonic()
            self._commit(wait=False)

    @property
    def away(self) -> str:
        """The reason why Kafka does not answer, in a line; empty if it does."""
        return self._watch.away

    def positions(self) -> dict[int, int]:
        """Return the next offset of each partition that this process owns and has read from."""
        return {each: self._next[each] for each in self._assigned if each in self._next}

    def lag(self) -> dict[int, int]:
        """Return the number of messages behind the position, as far as the broker has reported."""
        found = {}
        for partition, position in self.positions().items():
            _, end = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
            found[partition] = max(0, end - position) if end >= 0 else 0
        return found

    def ends(self) -> dict[int, int]:
        """Return where the topic ends now, by partition."""
        return kafka.end_offsets(self._settings, self.topic)

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Return whether the group has applied all messages before these offsets: this process and the others.

        What the group has committed earlier says nothing about the partitions that this process reads anew.
        """
        if self._anew and not self._joined:
            return False
        if any(self._next.get(each, 0) < end for each, end in ends.items() if each in self._assigned):
            return False
        others = [each for each in ends if each not in self._assigned]
        if not others or time.monotonic() - self._asked_at < _ASK_SECONDS:
            return not others
        self._asked_at = time.monotonic()
        try:
            found = self._applied(others)
        except KafkaException:
            return False
        return not behind({each: at.offset for each, at in found.items()}, {each: ends[each] for each in others})

    def close(self) -> None:
        """Commit the applied offsets and leave the group.

        The group may be rebalancing at this moment. This process ignores partitions that it gets while it leaves. If
        the broker does not hear that it leaves, the group waits for the end of its session.
        """
        self._commit(wait=True)
        self._closing = True
        with suppress(KafkaException):
            self._consumer.close()

    def _read(self, messages: Iterable[Message]) -> list[Update]:
        topic, found = self.topic, []
        for message in messages:
            error = message.error()
            partition, offset = message.partition() or 0, message.offset() or 0
            if error is None:
                place = (topic, partition, offset)
                if place not in self._skipped:
                    found.append(read_update(message.key(), message.value(), place))
                self._next[partition] = offset + 1
                epoch = message.leader_epoch()
                self._epochs[partition] = NO_EPOCH if epoch is None else epoch
            elif error.code() == KafkaError._PARTITION_EOF:
                # Marks of transactions and compacted messages have offsets too.
                self._next[partition] = max(self._next.get(partition, 0), offset)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                if cut_in(error) is None:
                    raise self._gone(partition)
                self._begin_again(partition)
            elif error.code() not in _PASSING:
                raise self._explained(error)
        return found

    def _explained(self, error: KafkaError) -> AdstreamError:
        if error.code() in _REPLACED:
            return ConfigError(
                f"another process applies {self.topic} as --member {self._member}", "give each one a name of its own"
            )
        return self._errors.explain(error)

    def _gone(self, partition: int) -> Unproved:
        return Unproved(
            f"{self.topic}/{partition} no longer has the rows that come next: they are older than the topic "
            "keeps them, or it was made anew",
            "begin the job anew with `adstream reset`, or apply what there is with --from earliest",
        )

    def _consume(self, count: int, seconds: float) -> list[Message]:
        try:
            return self._consumer.consume(count, timeout=seconds)
        except KafkaException as error:
            raise self._explained(kafka_error(error)) from None

    def _partitions(self, numbers: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self.topic, number) for number in numbers]

    def _applied(self, partitions: Iterable[int]) -> dict[int, Known]:
        return applied_in(self._consumer, self._settings, self.topic, partitions, self._watch.topic_id)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = partitions if self._closing else self._places({each.partition for each in partitions})
        consumer.incremental_assign(places)
        self._joined = True
        self._assigned |= {each.partition for each in places}
        for each in places:
            self._next.pop(each.partition, None)
            self._epochs[each.partition] = NO_EPOCH if each.leader_epoch is None else each.leader_epoch
        if self._waiting:
            consumer.pause(places)

    def _places(self, numbers: set[int]) -> list[TopicPartition]:
        """Return where to begin: behind the applied rows, or at the start of the topic."""
        known = numbers & self._begun if self._anew else numbers
        self._begun |= numbers

        def applied() -> dict[int, Known]:
            return still_there(self._settings, self.topic, self._applied(known))

        # A broker that has just started may not know its topics yet.
        found = retries.call(applied, on=(KafkaException, ServiceUnavailable, TopicNotFound)) if known else {}
        begin = Known(OFFSET_BEGINNING, NO_EPOCH)
        places = {each: found.get(each, begin) for each in sorted(numbers)}
        return [TopicPartition(self.topic, each, at.offset, leader_epoch=at.epoch) for each, at in places.items()]

    def _begin_again(self, partition: int) -> None:
        """Begin again where Kafka has lost rows that this process has read. Other rows get their offsets."""
        if partition not in self._assigned:
            return
        places = self._partitions([partition])
        try:
            self._lose(self._consumer, places)
            self._assign(self._consumer, places)
        except KafkaException as error:
            raise self._explained(kafka_error(error)) from None

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit the applied offsets before another process continues. Called between two reads."""
        self._commit(wait=True)
        self._lose(consumer, partitions)

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._assigned -= numbers
        for number in numbers:
            self._uncommitted.pop(number, None)
            self._committed.pop(number, None)
        consumer.incremental_unassign(partitions)

    def _told_of_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Let the next commit repeat a failed one. Without new rows the offsets stay the same, and nothing else would.

        The driver waits for these commits.
        """
        for each in partitions:
            if error is not None or each.error is not None:
                self._committed.pop(each.partition, None)

    def _commit(self, *, wait: bool) -> None:
        """Commit the applied offsets.

        A failed commit does no harm: repeated rows are not newer than the rows in the tables.
        """
        topic_id = self._watch.topic_id
        offsets = [
            committed_at(self.topic, number, Known(offset, self._epochs.get(number, NO_EPOCH)), topic_id)
            for number, offset in self._uncommitted.items()
        ]
        if not offsets:
            return
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException:
            return
        self._committed |= self._uncommitted
        self._uncommitted.clear()
