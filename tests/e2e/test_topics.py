"""What Kafka says about a topic's options."""

import secrets

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from common import kafka
from common.settings import Settings
from tests.e2e.commands import SECONDS


def test_kafka_says_how_many_replicas_have_a_message_when_it_acknowledges_it(stack: Settings) -> None:
    topic = f"copies-{secrets.token_hex(4)}"
    kafka.create_topics(stack, [kafka.topic_spec(stack, topic)])
    assert kafka.copies_acknowledged(stack, topic) == 1
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    entry = ConfigEntry("min.insync.replicas", "2", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(timeout=SECONDS)
    assert kafka.copies_acknowledged(stack, topic) == 2
    assert kafka.copies_acknowledged(stack, "nowhere") == 1
