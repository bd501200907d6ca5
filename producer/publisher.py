"""Records to Kafka: keyed, idempotent, acknowledged by all replicas, and counted.

The queue to the broker is bounded. When it is full the publisher waits; it never drops a record. A record without
acknowledgement within the delivery timeout ends the run with an error.
"""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypedDict, Unpack

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from common.contracts import Contract
from common.errors import AdstreamError, DeliveryFailed
from common.kafka import UNHEARD, ClientErrors, client_config, fatal, kafka_error, require_topic, taken_settings
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder
from producer.json_encoding import JsonEncoder
from producer.records import Record
from producer.samples import Event

QUEUE_MESSAGES = 100_000
QUEUE_KIBIBYTES = 128 * 1024
DELIVERY_TIMEOUTS = 3  # in units of the Kafka timeout: time for a broker to restart
POLL_EVERY = 500
FULL_QUEUE_WAIT_SECONDS = 0.1
FLUSH_SLICE_SECONDS = 0.5

# The broker did not refuse the record: the time ran out.
_OUTWAITED = {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT}

# The record's number, and the record as stored in the topic.
DeliveryReport = Callable[[int, Message], None]


class Delivery(TypedDict, total=False):
    """The delivery of records in any encoding: the options of `Publisher`."""

    on_delivery: DeliveryReport | None
    queue_messages: int


class Publisher:
    """Sends records to `topic`, encoded by `encode`. `on_delivery` gets every record.

    Opening it raises ConfigError for unusable Kafka settings. Sending raises DeliveryFailed once the broker has refused
    a record, or has not acknowledged it in time. It also raises an AdstreamError of `on_delivery`, each once.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        encode: Callable[[Event], bytes],
        *,
        on_delivery: DeliveryReport | None = None,
        queue_messages: int = QUEUE_MESSAGES,
    ) -> None:
        self.topic = topic
        self.encode = encode
        self.sent = 0
        self.acknowledged = 0
        self.kinds: Counter[str] = Counter()
        self._settings = settings.kafka
        self._errors = ClientErrors(settings.kafka)
        self._on_delivery = on_delivery
        self._failure: KafkaError | None = None
        self._unreported: AdstreamError | None = None
        timeout_ms = int(settings.kafka.timeout_seconds * 1000)
        self._delivery_seconds = DELIVERY_TIMEOUTS * settings.kafka.timeout_seconds
        config = client_config(settings.kafka, self._errors) | {
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",  # the Java client's: the same key is in the same partition everywhere
            "linger.ms": 20,
            "batch.size": 262_144,
            "compression.type": "lz4",
            "message.max.bytes": settings.topic.max_message_bytes,
            "queue.buffering.max.messages": queue_messages,
            "queue.buffering.max.kbytes": QUEUE_KIBIBYTES,
            "request.timeout.ms": timeout_ms,
            "message.timeout.ms": DELIVERY_TIMEOUTS * timeout_ms,
            "logger": UNHEARD,
        }
        with taken_settings():
            self._producer = Producer(config)

    @property
    def done(self) -> str:
        """Return a text about the records, to follow their number."""
        return f"sent to {self.topic}, {self.acknowledged:,} acknowledged"

    def send(self, record: Record) -> None:
        """Queue one record; wait while the queue is full. Raises DeliveryFailed, SchemaIncompatible."""
        value = self.encode(record.event)
        if record.spoil is not None:
            value = record.spoil(value)
        report = self._acknowledge if self._on_delivery is None else partial(self._report, self.sent)
        while True:
            try:
                self._producer.produce(self.topic, value, record.key, timestamp=record.stamp, on_delivery=report)
                break
            except BufferError:
                self.serve(FULL_QUEUE_WAIT_SECONDS)
            except KafkaException as error:
                self._failure = kafka_error(error)
                raise self._failed() from None
        self.sent += 1
        self.kinds[record.kind] += 1
        if self.sent % POLL_EVERY == 0:
            self.serve(0)

    def serve(self, seconds: float) -> None:
        """Take delivery reports, waiting up to `seconds` for one. Raises DeliveryFailed."""
        self._attend(lambda: self._producer.poll(seconds))
        self._require_no_failure()

    def flush(self) -> None:
        """Wait until every record is acknowledged, as long as the delivery timeout lasts. Raises DeliveryFailed."""
        end = time.monotonic() + self._delivery_seconds + self._settings.timeout_seconds
        while self._attend(lambda: self._producer.flush(FLUSH_SLICE_SECONDS)) and self._failure is None:
            if time.monotonic() > end:
                raise self._failed()
        self._require_no_failure()

    def abandon(self) -> None:
        """Drop all queued records, so that a failed run ends at once."""
        self._producer.purge()
        self._attend(lambda: self._producer.flush(FLUSH_SLICE_SECONDS))

    def _attend(self, serve: Callable[[], int]) -> int:
        try:
            return serve()
        except (KafkaException, SystemError) as error:
            self._failure = self._failure or fatal(error)
            return 0

    def _acknowledge(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        elif error.code() != KafkaError._PURGE_QUEUE:
            self._failure = self._failure or error

    def _report(self, number: int, error: KafkaError | None, message: Message) -> None:
        self._acknowledge(error, message)
        if error is None and self._on_delivery is not None:
            try:
                self._on_delivery(number, message)
            except AdstreamError as problem:  # must not pass through the client: it would end a flush
                self._unreported = problem

    def _require_no_failure(self) -> None:
        if self._failure is not None:
            raise self._failed()
        if self._unreported is not None:
            problem, self._unreported = self._unreported, None
            raise problem

    def _failed(self) -> AdstreamError:
        failure = self._failure or KafkaError(KafkaError._TIMED_OUT)
        cause = self._errors.explain(failure)
        waited = ""
        if failure.code() in _OUTWAITED:
            limit = f"{DELIVERY_TIMEOUTS} times ADSTREAM_KAFKA_TIMEOUT_SECONDS={self._settings.timeout_seconds:g}"
            waited = f" within {self._delivery_seconds:g} s ({limit})"
        lag = f"lag {self.sent - self.acknowledged:,} events"
        return DeliveryFailed(f"Kafka did not take an event{waited}, {lag}: {cause.problem}", cause.remedy)


class AvroPublisher(Publisher):
    """Sends records in the newest schema that the registry has for the subject of `contract`.

    Opening it raises TopicNotFound, SchemaNotFound, SchemaIncompatible, ServiceUnavailable or AccessDenied.
    """

    def __init__(self, settings: Settings, topic: str, contract: Contract, **how: Unpack[Delivery]) -> None:
        require_topic(settings, topic)
        registered = RegistryClient(settings.registry).latest(contract.subject)
        super().__init__(settings, topic, Encoder(registered, contract), **how)


class JsonPublisher(Publisher):
    """Sends records as JSON objects with the fields of `contract`; the registry is not asked.

    Opening it raises TopicNotFound, ServiceUnavailable or AccessDenied.
    """

    def __init__(self, settings: Settings, topic: str, contract: Contract, **how: Unpack[Delivery]) -> None:
        require_topic(settings, topic)
        super().__init__(settings, topic, JsonEncoder(contract), **how)
