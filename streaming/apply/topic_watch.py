"""Check every few seconds whether Kafka answers, and whether the topic is still the same one.

The consumer reports neither. Without a broker it is silent. If the topic was deleted and made again, it reads on.
"""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection

from common import kafka
from common.errors import ServiceUnavailable, TopicNotFound
from common.settings import Settings

LOOK_SECONDS = 5.0
LONGEST_SILENCE_SECONDS = 300.0


class TopicWatch:
    """Asks Kafka without waiting: a later call looks for the answer.

    `topic_id` is the id of the topic at the start.

    `away` says why Kafka did not answer the last question, and is empty if it did.
    """

    def __init__(self, settings: Settings, topic: str, *, longest_silence: float = LONGEST_SILENCE_SECONDS) -> None:
        self._settings, self._topic, self._longest = settings, topic, longest_silence
        self.topic_id = kafka.topic_id(settings, topic)
        self._admin = kafka.connected(settings.kafka)
        self.away = ""
        self._missing = False
        self._asked: Future[Any] | None = None
        self._asked_at = self._answered_at = time.monotonic()

    def look(self) -> None:
        """Raise TopicNotFound if the topic is another one, ServiceUnavailable after five minutes without an answer."""
        now = time.monotonic()
        if self._asked is None:
            if now - self._asked_at >= LOOK_SECONDS:
                self._asked_at = now
                self._asked = self._ask()
        elif self._asked.done():
            asked, self._asked = self._asked, None
            self._hear(asked, now)

    def _ask(self) -> Future[Any]:
        seconds = self._settings.kafka.timeout_seconds
        asked: Future[Any] = self._admin.client.describe_topics(
            TopicCollection([self._topic]), request_timeout=seconds
        )[self._topic]
        return asked

    def _hear(self, answer: Future[Any], now: float) -> None:
        try:
            found = str(answer.result().topic_id)
        except KafkaException as error:
            said = kafka.translate(kafka.kafka_error(error), self._settings.kafka)
            if isinstance(said, TopicNotFound):
                if self._missing:  # a broker that has just started may not know its topics yet
                    raise self._other(f"{self._topic} was deleted") from None
                self._missing = True
            else:
                self.away = said.problem
            if now - self._answered_at > self._longest:
                raise ServiceUnavailable(
                    f"{said.problem}, for {now - self._answered_at:.0f} s",
                    "look at its brokers, then start this again: it goes on where it was",
                ) from None
            return
        self._answered_at, self._missing, self.away = now, False, ""
        if found != self.topic_id:
            raise self._other(f"{self._topic} was deleted and made anew")

    def _other(self, what: str) -> TopicNotFound:
        return TopicNotFound(
            f"{what}, and rows that were in it may not be in the tables",
            "start this again: the job makes these rows again, now or at its next start; without its checkpoint "
            "`adstream reset` begins it anew",
        )
