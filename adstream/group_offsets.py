"""How far a consumer group has come in a topic, asked without joining the group."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from adstream import kafka
from adstream.settings import Settings


class GroupOffsets:
    """Asks again and again, over one connection, until it is closed. Raises as `kafka.end_offsets`."""

    def __init__(self, settings: Settings, group: str, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._errors = kafka.ClientErrors(settings.kafka)
        self._admin = kafka.connected(settings.kafka)
        self._consumer = Consumer(
            kafka.consumer_config(settings.kafka, self._errors) | {"group.id": group, "enable.auto.commit": False}
        )

    def __call__(self) -> dict[int, int]:
        """Partition -> the offset that the group reads next; without those of which it has committed nothing."""
        partitions = [TopicPartition(self._topic, each) for each in self.ends()]
        try:
            found = self._consumer.committed(partitions, timeout=self._settings.kafka.timeout_seconds)
        except KafkaException as error:
            raise self._errors.explain(kafka.kafka_error(error)) from None
        return {at.partition: at.offset for at in found if at.offset >= 0}

    def ends(self) -> dict[int, int]:
        """Where the topic's partitions end now."""
        return kafka.end_offsets(self._settings, self._topic, admin=self._admin)

    def close(self) -> None:
        self._consumer.close()
