"""Kafka from the settings: configuration of clients, topics and their offsets, and translation of errors for users."""

from common.kafka.admin import connected
from common.kafka.clients import UNHEARD, client_config, consumer_config, jaas_value, spark_options, taken_settings
from common.kafka.errors import ClientErrors, fatal, kafka_error, translate
from common.kafka.offsets import begin_offsets, end_offsets, leader_ends, leader_epochs, offsets_at
from common.kafka.topics import (
    LARGEST_LETTER_BYTES,
    TopicSpec,
    cluster_id,
    copies_acknowledged,
    create_topics,
    require_topic,
    stamped_by_producers,
    topic_id,
    topic_names,
    topic_spec,
)

__all__ = [
    "LARGEST_LETTER_BYTES",
    "UNHEARD",
    "ClientErrors",
    "TopicSpec",
    "begin_offsets",
    "client_config",
    "cluster_id",
    "connected",
    "consumer_config",
    "copies_acknowledged",
    "create_topics",
    "end_offsets",
    "fatal",
    "jaas_value",
    "kafka_error",
    "leader_ends",
    "leader_epochs",
    "offsets_at",
    "require_topic",
    "spark_options",
    "stamped_by_producers",
    "taken_settings",
    "topic_id",
    "topic_names",
    "topic_spec",
    "translate",
]
