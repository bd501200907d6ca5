"""One admin connection to Kafka, which may be kept and asked again."""

import time
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,
    TopicMetadata,
)

from common.errors import AdstreamError, ServiceUnavailable
from common.kafka.clients import client_config, taken_settings
from common.kafka.errors import ClientErrors, kafka_error
from common.settings import KafkaSettings

T = TypeVar("T")
TOPIC_POLL_SECONDS = 0.1
METADATA_SLICE_SECONDS = 1.0


class Admin:
    """One admin client with a timeout and translated errors."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.timeout = settings.timeout_seconds
        self._errors = ClientErrors(settings)
        with taken_settings():
            self.client = AdminClient(client_config(settings, self._errors))

    def metadata(self) -> ClusterMetadata:
        """Return all topics.

        The client keeps connecting within the timeout, but a refusal ends the wait at once.
        """
        end = time.monotonic() + self.timeout
        while True:
            try:
                return self.client.list_topics(timeout=min(METADATA_SLICE_SECONDS, self.timeout))
            except KafkaException as error:
                self.client.poll(0)
                problem = self._errors.explain_first(kafka_error(error))
                if not isinstance(problem, ServiceUnavailable) or time.monotonic() >= end:
                    raise problem from None

    def result(self, future: "Future[T]") -> T:
        try:
            return future.result(timeout=self.timeout + 1)
        except KafkaException as error:
            raise self.explain(kafka_error(error)) from None
        except TimeoutError:
            raise self.explain(KafkaError(KafkaError._TIMED_OUT)) from None

    def explain(self, error: KafkaError) -> AdstreamError:
        self.client.poll(0)  # passes the connection's errors to the error callback
        return self._errors.explain(error)

    def topics(self) -> dict[str, TopicMetadata]:
        return self.metadata().topics

    def wait_for(self, names: set[str]) -> None:
        end = time.monotonic() + self.timeout
        while not names <= self.topics().keys():
            if time.monotonic() > end:
                raise ServiceUnavailable(f"Kafka does not show the new topics {sorted(names)}", "look at its log")
            time.sleep(TOPIC_POLL_SECONDS)


def connected(settings: KafkaSettings) -> Admin:
    """Open a connection for repeated calls of `end_offsets` or `topic_id`."""
    return Admin(settings)
